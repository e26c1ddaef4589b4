#pragma once

#include "storage/format/offsets.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace milepost::storage {

// Names of files and folders in the data folder: storage/FORMAT.md, "The data folder".
inline constexpr const char* journal_folder_name = "journal";

enum class SegmentFile : std::uint8_t { log, offset_index, time_index };

struct SegmentFileName {
    Offset base;
    SegmentFile kind = SegmentFile::log;

    friend bool operator==(const SegmentFileName&, const SegmentFileName&) = default;
};

// `00000000000000004711.log`.
[[nodiscard]] std::string segment_file_name(Offset base, SegmentFile kind);
// nullopt for a file that is none of ours.
[[nodiscard]] std::optional<SegmentFileName> parse_segment_file_name(std::string_view name);
[[nodiscard]] std::filesystem::path segment_path(
    const std::filesystem::path& folder,
    Offset base,
    SegmentFile kind
);

// Kafka's rule for topics: 1 to 249 of [A-Za-z0-9._-], neither "." nor "..".
inline constexpr std::size_t topic_bytes_max = 249;
[[nodiscard]] bool is_topic_name(std::string_view topic);

// `<topic>-<partition>`.
[[nodiscard]] std::string partition_folder_name(const TopicPartition& partition);
// nullopt for a folder that is none of ours.
[[nodiscard]] std::optional<TopicPartition> parse_partition_folder_name(std::string_view name);

}  // namespace milepost::storage
