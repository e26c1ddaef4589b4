#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"
#include "storage/format/offsets.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace milepost::storage {

// One open file. Thread: reads from any thread at any time; everything else from one at a time.
// Errors are system error codes (EIO, ENOSPC, …); a short write is an error here. Two threads that
// write to one file open it twice: the kernel tells of a failed write-back once per open file.
class File {
public:
    File() = default;
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    virtual ~File() = default;

    // Fills `into` from `at`; fewer bytes only where the file ends.
    virtual Result<std::size_t> read_at(FilePosition at, MutableBytes into) = 0;
    // When this returns the operating system has the bytes, the disk may not: only sync() says
    // that.
    virtual Result<void> write_at(FilePosition at, Bytes bytes) = 0;
    // Writes and makes durable in one step, over bytes that exist already: the journal's commit.
    // `at`, the length and the address of `bytes` are multiples of block_bytes.
    virtual Result<void> overwrite_durable(FilePosition at, Bytes bytes) = 0;
    // Everything written so far, and the length, is on the disk. After a failure nothing that was
    // written since the last success can be believed, and a second call may lie (fsyncgate).
    virtual Result<void> sync() = 0;
    virtual Result<void> truncate(std::uint64_t bytes) = 0;
    virtual Result<std::uint64_t> size() = 0;
    // A hint that what was written or read is not needed in the page cache any more.
    virtual void forget_cached(FilePosition at, std::uint64_t bytes) = 0;

    // A hint to begin to write these bytes out, so that a later sync() finds little left to do.
    // Says nothing of durability and hides no error from sync().
    virtual void begin_write_out(FilePosition /*at*/, std::uint64_t /*bytes*/) {}

    // A hint that the reader knows how much it wants: nothing is to be read ahead of it.
    virtual void read_only_what_is_asked() {}
};

inline constexpr std::size_t block_bytes = 4096;

enum class OpenMode : std::uint8_t {
    read,        // must exist
    write,       // must exist
    create,      // made if missing
    create_new,  // must not exist
};

struct DirectoryEntry {
    std::string name;
    bool is_directory = false;
    std::uint64_t bytes = 0;
};

struct SpaceInfo {
    std::uint64_t capacity_bytes = 0;
    std::uint64_t available_bytes = 0;
    // btrfs, zfs, bcachefs: an overwrite takes new blocks, so a pre-written file saves nothing.
    bool is_copy_on_write = false;
};

// Held as long as the data folder is ours.
class FolderLock {
public:
    FolderLock() = default;
    FolderLock(const FolderLock&) = delete;
    FolderLock& operator=(const FolderLock&) = delete;
    virtual ~FolderLock() = default;
};

// The one door to the disk. Production: PosixFileSystem. Tests: ForgetfulDisk, which loses what was
// not synced, tears, fails on demand. A new file or name is durable after sync_directory(parent).
class FileSystem {
public:
    FileSystem() = default;
    FileSystem(const FileSystem&) = delete;
    FileSystem& operator=(const FileSystem&) = delete;
    virtual ~FileSystem() = default;

    virtual Result<std::unique_ptr<File>> open(
        const std::filesystem::path& path,
        OpenMode mode
    ) = 0;
    virtual Result<void> rename(
        const std::filesystem::path& from,
        const std::filesystem::path& to
    ) = 0;

    // A second name for a file, which must not exist. The base says "not supported", as some file
    // systems do (with this or another error).
    virtual Result<void> link(
        const std::filesystem::path& /*file*/,
        const std::filesystem::path& /*name*/
    ) {
        return make_error_code(boost::system::errc::operation_not_supported);
    }

    virtual Result<void> remove(const std::filesystem::path& path) = 0;
    virtual Result<void> make_directory(const std::filesystem::path& path
    ) = 0;  // parents exist; ok if there
    virtual Result<std::vector<DirectoryEntry>> list(const std::filesystem::path& path
    ) = 0;  // sorted
    virtual Result<void> sync_directory(const std::filesystem::path& path) = 0;
    virtual Result<SpaceInfo> space(const std::filesystem::path& path) = 0;
    // flock on `path` (made if missing, unless read only); EWOULDBLOCK when another process has it.
    virtual Result<std::unique_ptr<FolderLock>> lock(const std::filesystem::path& path) = 0;
};

}  // namespace milepost::storage
