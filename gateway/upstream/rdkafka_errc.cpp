#include "gateway/upstream/errc.hpp"

#include <librdkafka/rdkafka.h>

#include <string>

namespace milepost::upstream {

namespace {

class UpstreamCategory final : public boost::system::error_category {
public:
    [[nodiscard]] const char* name() const noexcept override { return "milepost.upstream"; }

    [[nodiscard]] std::string message(int value) const override {
        return rd_kafka_err2str(static_cast<rd_kafka_resp_err_t>(value));
    }
};

Fault fault_of_code(int code) {
    switch (code) {
        case RD_KAFKA_RESP_ERR_NO_ERROR: return Fault::none;
        case RD_KAFKA_RESP_ERR__QUEUE_FULL: return Fault::queue_full;
        case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
        case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
        case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        case RD_KAFKA_RESP_ERR_POLICY_VIOLATION: return Fault::topic;
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        case RD_KAFKA_RESP_ERR_INVALID_MSG:
        case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
        case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
        case RD_KAFKA_RESP_ERR_INVALID_RECORD: return Fault::record;
        case RD_KAFKA_RESP_ERR__AUTHENTICATION:
        case RD_KAFKA_RESP_ERR__SSL:
        case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
        case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED: return Fault::credentials;
        case RD_KAFKA_RESP_ERR__FATAL:
        case RD_KAFKA_RESP_ERR__FENCED:
        case RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE:
        case RD_KAFKA_RESP_ERR__INCONSISTENT:
        case RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER:
        case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
        case RD_KAFKA_RESP_ERR_PRODUCER_FENCED: return Fault::fatal;
        case RD_KAFKA_RESP_ERR__INVALID_ARG:
        case RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE: return Fault::setup;
        default: return Fault::transient;
    }
}

}  // namespace

std::string_view fault_name(Fault fault) {
    switch (fault) {
        case Fault::none: return "none";
        case Fault::queue_full: return "queue_full";
        case Fault::transient: return "transient";
        case Fault::topic: return "topic";
        case Fault::record: return "record";
        case Fault::credentials: return "credentials";
        case Fault::fatal: return "fatal";
        case Fault::setup: return "setup";
    }
    return "unknown";
}

const boost::system::error_category& upstream_category() {
    static const UpstreamCategory category;
    return category;
}

ErrorCode upstream_error(int code) {
    return {code, upstream_category()};
}

Fault fault_of(const ErrorCode& error) {
    if (!error) return Fault::none;
    return error.category() == upstream_category() ? fault_of_code(error.value()) : Fault::setup;
}

bool is_timestamp_refused(const ErrorCode& error) {
    return error == upstream_error(RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP);
}

ErrorCode record_refused() {
    return upstream_error(RD_KAFKA_RESP_ERR_INVALID_RECORD);
}

bool is_time_out(const ErrorCode& error) {
    return error == upstream_error(RD_KAFKA_RESP_ERR__TIMED_OUT);
}

bool is_topic_missing(const ErrorCode& error) {
    return error == upstream_error(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) ||
           error == upstream_error(RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC);
}

}  // namespace milepost::upstream
