// Any bytes are frames and packets, or are refused; nothing outside of them is read. What is
// decoded and encoded again is the same packet, bit by bit.
#include "gateway/mqtt/decode.hpp"
#include "gateway/mqtt/encode.hpp"
#include "gateway/mqtt/topic_filter.hpp"
#include "storage/base/check.hpp"

#include <cstddef>
#include <cstdint>

namespace {

using namespace milepost;
using namespace milepost::mqtt;

constexpr std::size_t packet_bytes_max = 4096;

// Reads every byte of a view, so that one outside of the input is noticed.
template <class View>
void touch(const View& view) {
    static volatile unsigned sink = 0;
    for (const auto each : view) {
        sink = sink + static_cast<unsigned>(each);
    }
}

void touch_properties(Bytes properties) {
    const MessageProperties message = message_properties(properties);
    touch(message.content_type);
    touch(message.response_topic);
    touch(message.correlation_data);
    for_each_user_property(properties, [](std::string_view name, std::string_view value) {
        touch(name);
        touch(value);
    });
}

void check_same(const Buffer& encoded, Bytes packet, bool is_length_minimal) {
    MILEPOST_CHECK(!is_length_minimal || same_bytes(encoded, packet));
}

void fuzz_connect(const Frame& frame, Bytes packet) {
    Connect connect;
    if (decode_connect(frame, connect) != Errc::none) return;
    touch_properties(connect.properties);
    if (connect.will) touch_properties(connect.will->properties);
    Buffer again;
    encode_connect(again, connect);
    check_same(again, packet, frame.is_length_minimal);
}

void fuzz_publish(const Frame& frame, ProtocolLevel level, Bytes packet) {
    Publish publish;
    if (decode_publish(frame, level, publish) != Errc::none) return;
    touch_properties(publish.properties);
    if (!publish.topic.empty()) {
        MILEPOST_CHECK(is_topic_name(publish.topic));
        MILEPOST_CHECK(is_topic_filter(publish.topic));
        MILEPOST_CHECK(matches(publish.topic, publish.topic));
        MILEPOST_CHECK(matches("#", publish.topic) != publish.topic.starts_with('$'));
    }
    Buffer again;
    encode_publish(again, level, publish);
    check_same(again, packet, frame.is_length_minimal);
}

void fuzz_filters(const Frame& frame, ProtocolLevel level) {
    Subscribe subscribe;
    if (decode_subscribe(frame, level, subscribe) == Errc::none) {
        std::size_t count = 0;
        for (Bytes filters = subscribe.filters; !filters.empty(); ++count) {
            const Subscription one = take_subscription(filters);
            touch(one.filter);
            static_cast<void>(matches(one.filter, "vehicles/V0001/telemetry"));
        }
        MILEPOST_CHECK(count == subscribe.filter_count);
    }
    Subscribe unsubscribe;
    if (decode_unsubscribe(frame, level, unsubscribe) == Errc::none) {
        std::size_t count = 0;
        for (Bytes filters = unsubscribe.filters; !filters.empty(); ++count) {
            touch(take_filter(filters));
        }
        MILEPOST_CHECK(count == unsubscribe.filter_count);
    }
}

void fuzz_rest(const Frame& frame, ProtocolLevel level) {
    Ack ack;
    if (decode_ack(frame, level, ack) == Errc::none) MILEPOST_CHECK(ack.packet_id != 0);
    Disconnect leaving;
    static_cast<void>(decode_disconnect(frame, level, leaving));
    static_cast<void>(decode_pingreq(frame));
    Connack connack;
    if (decode_connack(frame, level, connack) == Errc::none) touch_properties(connack.properties);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Bytes input = std::as_bytes(std::span{data, size});
    if (input.empty()) return 0;
    const bool is_v5 = (std::to_integer<unsigned>(input.front()) & 1U) != 0;
    const ProtocolLevel level = is_v5 ? ProtocolLevel::v5 : ProtocolLevel::v3_1_1;
    input = input.subspan(1);
    while (true) {
        const FrameResult next = read_frame(input, packet_bytes_max);
        if (next.status == FrameStatus::need_more) MILEPOST_CHECK(next.bytes > input.size());
        if (next.status != FrameStatus::whole) return 0;
        MILEPOST_CHECK(next.bytes >= 2 && next.bytes <= packet_bytes_max);
        const Bytes packet = input.first(next.bytes);
        if (next.frame.type() == PacketType::connect) fuzz_connect(next.frame, packet);
        if (next.frame.type() == PacketType::publish) fuzz_publish(next.frame, level, packet);
        fuzz_filters(next.frame, level);
        fuzz_rest(next.frame, level);
        input = input.subspan(next.bytes);
    }
}
