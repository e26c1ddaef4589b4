#include "gateway/upstream/client_settings.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace milepost::upstream;

TEST_CASE("properties: what would break a promise is refused with the reason", "[upstream]") {
    for (const auto& [name, value] : Properties{
             {"enable.idempotence", "false"},
             {"enable.gapless.guarantee", "false"},
             {"acks", "1"},
             {"request.required.acks", "0"},
             {"retries", "3"},
             {"message.send.max.retries", "3"},
             {"message.timeout.ms", "1000"},
             {"delivery.timeout.ms", "1000"},
             {"delivery.report.only.error", "true"},
             {"partitioner", "random"},
             {"transactional.id", "mine"},
             {"group.id", "mine"},
             {"queuing.strategy", "lifo"},
             {"max.in.flight", "6"},
             {"max.in.flight.requests.per.connection", "1000"},
             {"queue.buffering.max.messages", "1000000"},
             {"queue.buffering.max.kbytes", "1048576"},
             {"message.max.bytes", "1000"},
             {"plugin.library.paths", "/tmp/x.so"},
             {"bootstrap.servers", "elsewhere:9092"},
             {"test.mock.num.brokers", "3"},
         }) {
        INFO(name);
        const auto reason = check_property(name, value);
        REQUIRE(reason);
        CHECK(reason->size() > 20);
    }
}

TEST_CASE("properties: what does no harm passes", "[upstream]") {
    for (const auto& [name, value] : Properties{
             {"security.protocol", "SASL_SSL"},
             {"sasl.mechanism", "PLAIN"},
             {"sasl.password", "secret"},
             {"ssl.ca.location", "/etc/ssl/certs/ca.pem"},
             {"linger.ms", "100"},
             {"max.in.flight", "1"},
             {"queue.buffering.max.messages", "5000"},
             {"client.rack", "a"},
         }) {
        INFO(name);
        CHECK_FALSE(check_property(name, value));
    }
}

TEST_CASE("properties: unknown names and impossible values are librdkafka's to say", "[upstream]") {
    const auto unknown = check_property("no.such.thing", "1");
    REQUIRE(unknown);
    CHECK(unknown->find("no.such.thing") != std::string::npos);
    CHECK(check_property("linger.ms", "soon"));
    CHECK(check_property("max.in.flight", "many") == "not a number");
}

TEST_CASE("properties: SCRAM with an older library gives one line", "[upstream]") {
    const Properties scram = {{"sasl.mechanism", "SCRAM-SHA-512"}};
    CHECK(library_warning(scram, 0x020002ff));
    CHECK_FALSE(library_warning(scram, 0x020601ff));
    CHECK_FALSE(library_warning({{"sasl.mechanism", "PLAIN"}}, 0x020002ff));
}
