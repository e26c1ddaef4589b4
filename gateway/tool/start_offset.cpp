#include "gateway/tool/start_offset.hpp"

#include <charconv>

namespace milepost::tool {

namespace {

std::optional<std::int64_t> whole_number(std::string_view text) {
    std::int64_t value = 0;
    const auto* end_of_text = text.data() + text.size();
    const auto [end, failed] = std::from_chars(text.data(), end_of_text, value);
    if (failed != std::errc{} || end != end_of_text || value < 0 || text.starts_with('-')) {
        return std::nullopt;
    }
    return value;
}

}  // namespace

std::optional<OffsetChoice> parse_offset(std::string_view text) {
    if (text == "beginning") return Beginning{};
    if (text == "end") return End{};
    const bool from = text.starts_with("s@");
    if (from || text.starts_with("e@")) {
        const auto time = whole_number(text.substr(2));
        if (!time) return std::nullopt;
        if (from) return FromTime{Timestamp{*time}};
        return UntilTime{Timestamp{*time}};
    }
    if (text.starts_with('-')) {
        const auto count = whole_number(text.substr(1));
        if (!count) return std::nullopt;
        return BeforeEnd{*count};
    }
    const auto offset = whole_number(text);
    if (!offset) return std::nullopt;
    return AtOffset{*offset};
}

}  // namespace milepost::tool
