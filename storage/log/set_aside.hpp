#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"
#include "storage/fs/file_system.hpp"

#include <filesystem>

namespace milepost::storage {

// Keeps `path` beside itself as `<name>.damaged-<N>`, N the first number that is free, and returns
// that path. Both names are the same file where the file system has hard links, else it is copied.
// Durable on return; `path` stays where it is.
Result<std::filesystem::path> keep_beside(FileSystem& files, const std::filesystem::path& path);

// The name that keep_beside() would take now.
Result<std::filesystem::path> name_beside(FileSystem& files, const std::filesystem::path& path);

// Puts `bytes` in the place of `path`, at once: `<name>.repair` is written, synced and renamed. The
// name is durable after sync_directory().
Result<void> replace_file(FileSystem& files, const std::filesystem::path& path, Bytes bytes);

// Where a file is written before it gets its name; what a killed repair left there is written over.
[[nodiscard]] std::filesystem::path unfinished_repair(const std::filesystem::path& path);

}  // namespace milepost::storage
