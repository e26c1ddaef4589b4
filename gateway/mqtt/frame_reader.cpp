#include "gateway/mqtt/frame_reader.hpp"

namespace milepost::mqtt::detail {

// Remaining lengths of three and four bytes, and those that are not in their shortest form.
FrameResult read_long_frame(Bytes input, std::size_t packet_bytes_max) {
    constexpr std::size_t length_bytes_max = 4;
    std::size_t length = 0;
    for (std::size_t i = 0; i < length_bytes_max; ++i) {
        const std::size_t header = i + 2;
        if (input.size() < header) return {FrameStatus::need_more, header, {}};
        const auto byte = std::to_integer<std::size_t>(input[i + 1]);
        length |= (byte & 0x7FU) << (7 * i);
        if (byte >= 0x80) continue;

        const std::size_t whole = header + length;
        if (whole > packet_bytes_max) return {FrameStatus::too_large, whole, {}};
        if (input.size() < whole) return {FrameStatus::need_more, whole, {}};
        const bool is_minimal = i == 0 || byte != 0;
        return {
            FrameStatus::whole,
            whole,
            {std::to_integer<std::uint8_t>(input[0]), is_minimal, input.subspan(header, length)}};
    }
    return {FrameStatus::malformed, 0, {}};
}

}  // namespace milepost::mqtt::detail
