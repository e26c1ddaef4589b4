#include "gateway/upstream/rdkafka_message.hpp"

#include <librdkafka/rdkafka.h>

namespace milepost::upstream {

namespace {

Bytes bytes_of(const void* data, std::size_t size) {
    return {static_cast<const std::byte*>(data), size};
}

}  // namespace

ConsumedRecord record_of(
    const rd_kafka_message_s& message,
    std::vector<storage::HeaderView>& headers
) {
    headers.clear();
    rd_kafka_headers_t* found = nullptr;
    if (rd_kafka_message_headers(&message, &found) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        const char* name = nullptr;
        const void* value = nullptr;
        std::size_t size = 0;
        for (std::size_t i = 0;
             rd_kafka_header_get_all(found, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
             ++i) {
            headers.push_back({.name = name, .value = bytes_of(value, size)});
        }
    }
    const auto part = [](const void* data, std::size_t size) {
        return data == nullptr ? std::nullopt : std::optional{bytes_of(data, size)};
    };
    return {
        .topic = rd_kafka_topic_name(message.rkt),
        .partition = message.partition,
        .offset = message.offset,
        .timestamp = Timestamp{rd_kafka_message_timestamp(&message, nullptr)},
        .key = part(message.key, message.key_len),
        .value = part(message.payload, message.len),
        .headers = headers};
}

}  // namespace milepost::upstream
