#pragma once

#include "storage/base/result.hpp"
#include "storage/fs/file_system.hpp"
#include "storage/log/segment_audit.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>

namespace milepost::storage {

struct VerifyOptions {
    bool deep = false;  // also decompress and walk the records
};

// The last line of `milepost verify`.
struct VerifyReport {
    std::uint64_t records = 0;  // in segments, and in the journal only
    std::uint64_t damaged = 0;  // batches, frames, slots, index files
    std::uint64_t holes = 0;    // runs of offsets that nothing explains

    [[nodiscard]] bool is_sound() const { return damaged + holes == 0; }
};

// Walks every frame and batch of a data folder that no process has open, and writes nothing.
// Sound, and said in the file's note: a torn tail, a journal that is ahead of its segments, a
// missing index. `on_file` is called for each file, in the order of the walk.
// Errors: no_such_file_or_directory where there is no log, operation_would_block (the door's) while
// another process has the folder, and what the disk says.
Result<VerifyReport> verify_folder(
    FileSystem& files,
    const std::filesystem::path& data_dir,
    VerifyOptions options,
    const std::function<void(const VerifiedFile&)>& on_file
);

}  // namespace milepost::storage
