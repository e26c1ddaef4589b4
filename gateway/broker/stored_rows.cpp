#include "gateway/broker/stored_rows.hpp"

#include <array>
#include <charconv>

namespace milepost::broker {

namespace {

using namespace std::string_view_literals;

constexpr std::string_view row_prefix = "\0m"sv;
constexpr std::string_view retained_prefix = "\0r"sv;
constexpr int hexadecimal = 16;

}  // namespace

std::string key_of_row(std::uint64_t number) {
    std::array<char, 16> digits{};
    const auto end = std::to_chars(digits.begin(), digits.end(), number, hexadecimal).ptr;
    return std::string{row_prefix}.append(digits.begin(), end);
}

std::string key_of_retained(std::string_view topic) {
    return std::string{retained_prefix}.append(topic);
}

std::optional<std::uint64_t> row_of_key(std::string_view key) {
    if (!key.starts_with(row_prefix)) return std::nullopt;
    key.remove_prefix(row_prefix.size());
    std::uint64_t number = 0;
    const auto [end, error] =
        std::from_chars(key.data(), key.data() + key.size(), number, hexadecimal);
    if (error != std::errc{} || end != key.data() + key.size()) return std::nullopt;
    return number;
}

std::optional<std::string_view> retained_topic_of_key(std::string_view key) {
    if (!key.starts_with(retained_prefix)) return std::nullopt;
    return key.substr(retained_prefix.size());
}

}  // namespace milepost::broker
