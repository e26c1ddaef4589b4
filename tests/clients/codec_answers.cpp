// What our MQTT codec makes of packets: reads lines `LEVEL HEX` (4 or 5), answers each with
// `refused` and why, or `same` or `other` as what was decoded is encoded to the very bytes or not
// (`taken` where we have no encoder). mqtt_packet.js compares that with the npm package
// mqtt-packet.
#include "gateway/mqtt/decode.hpp"
#include "gateway/mqtt/encode.hpp"

#include <charconv>
#include <iostream>
#include <string>

namespace {

using namespace milepost;
using namespace milepost::mqtt;

Buffer bytes_of(std::string_view hex) {
    Buffer bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        unsigned value = 0;
        std::from_chars(hex.data() + i, hex.data() + i + 2, value, 16);
        bytes.push_back(static_cast<std::byte>(value));
    }
    return bytes;
}

std::string verdict(Errc why, const Buffer& again, const Buffer& packet) {
    if (why != Errc::none) return std::string{"refused "} + text_of(why);
    if (again.empty()) return "taken";
    return again == packet ? "same" : "other";
}

std::string answer(ProtocolLevel level, const Buffer& packet) {
    const FrameResult next = read_frame(packet, 1'000'000);
    if (next.status == FrameStatus::need_more) return "short";
    if (next.status != FrameStatus::whole) return "refused frame";
    if (next.bytes != packet.size()) return "several";
    Buffer again;
    const PacketType type = next.frame.type();
    Errc why = Errc::none;
    if (type == PacketType::connect) {
        Connect connect;
        why = decode_connect(next.frame, connect);
        if (why == Errc::none) encode_connect(again, connect);
    } else if (type == PacketType::publish) {
        Publish publish;
        why = decode_publish(next.frame, level, publish);
        if (why == Errc::none) encode_publish(again, level, publish);
    } else if (type == PacketType::subscribe) {
        Subscribe subscribe;
        why = decode_subscribe(next.frame, level, subscribe);
    } else if (type == PacketType::unsubscribe) {
        Subscribe unsubscribe;
        why = decode_unsubscribe(next.frame, level, unsubscribe);
    } else if (type == PacketType::disconnect) {
        Disconnect leaving;
        why = decode_disconnect(next.frame, level, leaving);
    } else if (type == PacketType::pingreq) {
        why = decode_pingreq(next.frame);
    } else if (type >= PacketType::puback && type <= PacketType::pubcomp) {
        Ack ack;
        why = decode_ack(next.frame, level, ack);
    } else {
        return "not ours";
    }
    return verdict(why, again, packet);
}

}  // namespace

int main() {
    std::ios::sync_with_stdio(false);
    for (std::string line; std::getline(std::cin, line);) {
        const auto level = line.front() == '5' ? ProtocolLevel::v5 : ProtocolLevel::v3_1_1;
        std::cout << answer(level, bytes_of(std::string_view{line}.substr(2))) << '\n'
                  << std::flush;
    }
}
