#pragma once

#include "gateway/mqtt/packet.hpp"
#include "storage/base/bytes.hpp"

#include <cstddef>
#include <cstdint>

namespace milepost::mqtt {

// One packet as it lies in the input; MQTT 5.0 and 3.1.1, section 2.
struct Frame {
    std::uint8_t first_byte = 0;
    bool is_length_minimal = true;  // 5.0 wants the shortest form (MQTT-1.5.5-1), 3.1.1 does not
    Bytes body;                     // everything behind the fixed header

    [[nodiscard]] PacketType type() const { return static_cast<PacketType>(first_byte >> 4U); }

    [[nodiscard]] std::uint8_t flags() const { return first_byte & 0x0FU; }
};

enum class FrameStatus : std::uint8_t { whole, need_more, too_large, malformed };

struct FrameResult {
    FrameStatus status = FrameStatus::need_more;
    // whole, too_large: bytes of the packet with its header. need_more: at least so many bytes of
    // input are needed before another try makes sense.
    std::size_t bytes = 0;
    Frame frame;  // only when whole
};

namespace detail {
[[nodiscard]] FrameResult read_long_frame(Bytes input, std::size_t packet_bytes_max);
}

// Looks at the front of `input` for one packet. `packet_bytes_max` counts the whole packet,
// as 5.0's Maximum Packet Size does; a larger one is known by its header, before its body has come.
[[nodiscard]] inline FrameResult read_frame(Bytes input, std::size_t packet_bytes_max) {
    // The two common forms inline: remaining lengths of one and of two bytes.
    if (input.size() >= 2) {
        const auto low = std::to_integer<std::size_t>(input[1]);
        std::size_t header = 2;
        std::size_t length = low;
        if (low >= 0x80) {
            if (input.size() < 3) return {FrameStatus::need_more, 3, {}};
            const auto high = std::to_integer<std::size_t>(input[2]);
            if (high >= 0x80 || high == 0) return detail::read_long_frame(input, packet_bytes_max);
            header = 3;
            length = (low & 0x7FU) | (high << 7U);
        }
        const std::size_t whole = header + length;
        if (whole > packet_bytes_max) return {FrameStatus::too_large, whole, {}};
        if (input.size() < whole) return {FrameStatus::need_more, whole, {}};
        return {
            FrameStatus::whole,
            whole,
            {std::to_integer<std::uint8_t>(input[0]), true, input.subspan(header, length)}};
    }
    return {FrameStatus::need_more, 2, {}};
}

}  // namespace milepost::mqtt
