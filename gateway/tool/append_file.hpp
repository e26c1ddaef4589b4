#pragma once

#include "storage/base/units.hpp"
#include "storage/fs/file_system.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>

namespace milepost::tool {

// Opens a file that is written from `bytes` on: what is behind was not settled, and is cut. One
// that is not resumed is made, or is empty. A Failure otherwise.
[[nodiscard]] std::unique_ptr<storage::File> open_to_append(
    storage::FileSystem& files,
    const std::filesystem::path& path,
    bool is_resumed,
    std::uint64_t bytes
);

// What is gathered before it is written.
inline constexpr std::size_t write_buffer_bytes = mib;

// Throws the Failure of a file.
void must(const Result<void>& done, const std::filesystem::path& path);

}  // namespace milepost::tool
