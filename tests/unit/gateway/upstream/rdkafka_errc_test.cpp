#include "gateway/upstream/errc.hpp"

#include <catch2/catch.hpp>

#include <system_error>

using namespace milepost;
using namespace milepost::upstream;

TEST_CASE("errc: each kind of error asks for its own answer", "[upstream]") {
    // Numbers of Kafka's protocol (kafka.apache.org/protocol, "Error codes") and, below zero, of
    // librdkafka.
    CHECK(fault_of({}) == Fault::none);
    CHECK(fault_of(upstream_error(-184)) == Fault::queue_full);   // _QUEUE_FULL
    CHECK(fault_of(upstream_error(-195)) == Fault::transient);    // _TRANSPORT
    CHECK(fault_of(upstream_error(6)) == Fault::transient);       // NOT_LEADER_FOR_PARTITION
    CHECK(fault_of(upstream_error(19)) == Fault::transient);      // NOT_ENOUGH_REPLICAS
    CHECK(fault_of(upstream_error(3)) == Fault::topic);           // UNKNOWN_TOPIC_OR_PART
    CHECK(fault_of(upstream_error(29)) == Fault::topic);          // TOPIC_AUTHORIZATION_FAILED
    CHECK(fault_of(upstream_error(10)) == Fault::record);         // MSG_SIZE_TOO_LARGE
    CHECK(fault_of(upstream_error(-169)) == Fault::credentials);  // _AUTHENTICATION
    CHECK(fault_of(upstream_error(-150)) == Fault::fatal);        // _FATAL
    CHECK(fault_of(upstream_error(45)) == Fault::fatal);          // OUT_OF_ORDER_SEQUENCE_NUMBER
    CHECK(fault_of(std::make_error_code(std::errc::io_error)) == Fault::setup);
}

TEST_CASE("errc: a missing topic and a forbidden one are told apart", "[upstream]") {
    CHECK(is_topic_missing(upstream_error(3)));
    CHECK_FALSE(is_topic_missing(upstream_error(29)));
    CHECK(upstream_error(3).message().find("Unknown topic") != std::string::npos);
}
