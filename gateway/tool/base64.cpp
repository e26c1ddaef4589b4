#include "gateway/tool/base64.hpp"

#include <cstdint>

namespace milepost::tool {

namespace {

constexpr std::string_view letters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

void append_base64(Bytes bytes, std::string& to) {
    while (!bytes.empty()) {
        const auto byte = [&](std::size_t i) {
            return i < bytes.size() ? std::to_integer<std::uint32_t>(bytes[i]) : 0U;
        };
        const std::uint32_t three = byte(0) << 16U | byte(1) << 8U | byte(2);
        to += letters[three >> 18U];
        to += letters[three >> 12U & 63U];
        to += bytes.size() > 1 ? letters[three >> 6U & 63U] : '=';
        to += bytes.size() > 2 ? letters[three & 63U] : '=';
        bytes = bytes.subspan(std::min<std::size_t>(3, bytes.size()));
    }
}

std::optional<Buffer> decode_base64(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    Buffer bytes;
    bytes.reserve(text.size() / 4 * 3);
    while (!text.empty()) {
        const std::size_t padding = !text.ends_with('=') || text.size() > 4 ? 0U
                                    : text[2] == '='                        ? 2U
                                                                            : 1U;
        std::uint32_t three = 0;
        for (std::size_t i = 0; i < 4; ++i) {
            const bool is_padding = i >= 4 - padding;
            const auto digit = is_padding ? 0 : letters.find(text[i]);
            if (digit == std::string_view::npos) return std::nullopt;
            three = three << 6U | static_cast<std::uint32_t>(digit);
        }
        for (std::size_t i = 0; i < 3 - padding; ++i)
            bytes.push_back(static_cast<std::byte>(three >> (16U - 8U * i)));
        text.remove_prefix(4);
    }
    return bytes;
}

}  // namespace milepost::tool
