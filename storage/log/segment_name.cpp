#include "storage/log/segment_name.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace milepost::storage {

namespace {

constexpr std::size_t base_digits = 20;

constexpr std::array<std::pair<SegmentFile, std::string_view>, 3> suffixes{{
    {SegmentFile::log, ".log"},
    {SegmentFile::offset_index, ".index"},
    {SegmentFile::time_index, ".timeindex"},
}};

// Digits only: no sign, no space.
template <class Number>
std::optional<Number> parse_digits(std::string_view digits) {
    const auto is_digit = [](char c) {
        return c >= '0' && c <= '9';
    };
    if (digits.empty() || !std::all_of(digits.begin(), digits.end(), is_digit)) return std::nullopt;
    Number number = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (parsed.ec != std::errc{}) return std::nullopt;
    return number;
}

}  // namespace

std::string segment_file_name(Offset base, SegmentFile kind) {
    const std::string digits = std::to_string(base.value());
    std::string name(base_digits - std::min(base_digits, digits.size()), '0');
    name += digits;
    for (const auto& [suffix_kind, suffix] : suffixes) {
        if (suffix_kind == kind) name += suffix;
    }
    return name;
}

std::optional<SegmentFileName> parse_segment_file_name(std::string_view name) {
    if (name.size() < base_digits) return std::nullopt;
    const auto base = parse_digits<std::int64_t>(name.substr(0, base_digits));
    if (!base) return std::nullopt;
    for (const auto& [kind, suffix] : suffixes) {
        if (name.substr(base_digits) == suffix) return SegmentFileName{Offset{*base}, kind};
    }
    return std::nullopt;
}

std::filesystem::path segment_path(
    const std::filesystem::path& folder,
    Offset base,
    SegmentFile kind
) {
    return folder / segment_file_name(base, kind);
}

bool is_topic_name(std::string_view topic) {
    const auto is_allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
    };
    return !topic.empty() && topic.size() <= topic_bytes_max && topic != "." && topic != ".." &&
           std::all_of(topic.begin(), topic.end(), is_allowed);
}

std::string partition_folder_name(const TopicPartition& partition) {
    return partition.topic + "-" + std::to_string(partition.partition);
}

std::optional<TopicPartition> parse_partition_folder_name(std::string_view name) {
    const auto dash = name.rfind('-');
    if (dash == std::string_view::npos) return std::nullopt;
    const std::string_view topic = name.substr(0, dash);
    const auto number = parse_digits<std::int32_t>(name.substr(dash + 1));
    if (!number || !is_topic_name(topic)) return std::nullopt;
    TopicPartition partition{std::string{topic}, *number};
    // "t-007" would be a second name for t-7.
    if (partition_folder_name(partition) != name) return std::nullopt;
    return partition;
}

}  // namespace milepost::storage
