#pragma once

#include "storage/base/result.hpp"
#include "storage/format/offsets.hpp"
#include "storage/fs/file_system.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace milepost::storage {

// What a look at one file of the data folder found.
struct VerifiedFile {
    std::filesystem::path path;  // below the data folder
    bool is_sound = true;
    std::string note{};  // one line for people
    bool is_there = true;
};

// What is known of a segment before its files are looked at.
struct SegmentToAudit {
    std::filesystem::path folder;
    Offset base;
    // Where the partition goes on: a jump to the segment's first batch is a hole.
    Offset expected{};
    std::optional<Offset> next_base{};  // of the segment behind it
    // So many bytes were synced before a checkpoint said so: there nothing may be wrong. Behind
    // them the journal has a copy, and recovery keeps what is whole and cuts the rest.
    std::uint64_t trusted_bytes = std::numeric_limits<std::uint64_t>::max();
    // Whether `trusted_bytes` comes from a checkpoint; else rot with good batches behind it counts.
    bool has_checkpoint = false;
    bool deep = false;  // also decompress and walk the records
    // Whether the gap ledger has all of [first, end); none: nothing is known.
    std::function<bool(Offset first, Offset end)> is_known_hole{};
    // Called now and then with the bytes of the `.log` that were read since the last call.
    std::function<void(std::uint64_t bytes)> on_read{};
};

struct SegmentAudit {
    std::vector<VerifiedFile> files;  // .log, .index, .timeindex; paths are names only
    Offset next;                      // behind the last good batch
    std::uint64_t records = 0;
    std::uint64_t damaged = 0;  // batches and index files
    std::uint64_t holes = 0;
    std::uint64_t known_holes = 0;  // of these
};

// Reads the three files of one segment and compares them; writes nothing. What is wrong with them
// is in the audit; an error is the disk's.
Result<SegmentAudit> audit_segment(FileSystem& files, const SegmentToAudit& segment);

}  // namespace milepost::storage
