#include "gateway/forward/position_mark.hpp"

#include <charconv>
#include <cstdint>

namespace milepost::forward {

namespace {

constexpr std::string_view format = "milepost/1";
constexpr std::string_view log_key = " log=";
constexpr std::string_view instance_key = " instance=";
constexpr std::string_view offset_key = " offset=";

// Takes `key` and the word behind it off the front.
std::optional<std::string_view> take(std::string_view& rest, std::string_view key) {
    if (!rest.starts_with(key)) return std::nullopt;
    rest.remove_prefix(key.size());
    const auto word = rest.substr(0, rest.find(' '));
    if (word.empty()) return std::nullopt;
    rest.remove_prefix(word.size());
    return word;
}

}  // namespace

std::string mark_text(const PositionMark& mark) {
    std::string text{format};
    text.append(log_key).append(mark.log_id);
    text.append(instance_key).append(mark.instance_id);
    text.append(offset_key).append(std::to_string(mark.offset.value()));
    return text;
}

std::optional<PositionMark> parse_mark(std::string_view text) {
    if (!text.starts_with(format)) return std::nullopt;
    text.remove_prefix(format.size());
    const auto log_id = take(text, log_key);
    if (!log_id) return std::nullopt;
    const auto instance_id = take(text, instance_key);
    if (!instance_id) return std::nullopt;
    const auto number = take(text, offset_key);
    if (!number || !text.empty()) return std::nullopt;
    std::int64_t offset = 0;
    const auto parsed = std::from_chars(number->data(), number->data() + number->size(), offset);
    if (parsed.ec != std::errc{} || parsed.ptr != number->data() + number->size() || offset < 0) {
        return std::nullopt;
    }
    return PositionMark{std::string{*log_id}, std::string{*instance_id}, storage::Offset{offset}};
}

}  // namespace milepost::forward
