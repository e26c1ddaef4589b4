#pragma once

#include "storage/base/result.hpp"
#include "storage/meta/database.hpp"

#include <cstdint>
#include <filesystem>

namespace milepost::storage {

inline constexpr const char* meta_file_name = "meta.db";
inline constexpr std::int64_t meta_format_version = 4;

// Opens <data>/meta.db, makes it or brings an older one to meta_format_version. A newer one is
// MetaErrc::newer_format, a database that is not ours MetaErrc::not_ours. On a disk that is full or
// read-only one that is there is opened all the same, and stands by (Connection::stand_by).
Result<Connection> open_meta(const std::filesystem::path& data_dir);

// For the tool, with no gateway running: writes nothing and takes only a database of this version
// or older; MetaErrc::cannot_open if there is none.
Result<Connection> open_meta_read_only(const std::filesystem::path& data_dir);

// Puts a damaged meta.db (and its -wal) aside as meta.db.damaged-N and returns the new name, so
// that the gateway can start with an empty one: forwarding then begins at `start`.
Result<std::filesystem::path> set_meta_aside(const std::filesystem::path& data_dir);

}  // namespace milepost::storage
