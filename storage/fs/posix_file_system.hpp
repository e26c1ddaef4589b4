#pragma once

#include "storage/fs/file_system.hpp"

#include <cstdint>

namespace milepost::storage {

// How overwrite_durable reaches the disk.
enum class DurableWrite : std::uint8_t {
    fdatasync,  // pwrite, then fdatasync
    dsync,  // pwritev2(RWF_DSYNC) on a second, O_DIRECT descriptor; fdatasync where that is refused
};

// The door in production: Linux files. Thread: any; a file's own rules are on File.
class PosixFileSystem final : public FileSystem {
public:
    explicit PosixFileSystem(DurableWrite method = DurableWrite::fdatasync)
        : method_(method) {}

    Result<std::unique_ptr<File>> open(const std::filesystem::path& path, OpenMode mode) override;
    Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to)
        override;
    Result<void> link(const std::filesystem::path& file, const std::filesystem::path& name)
        override;
    Result<void> remove(const std::filesystem::path& path) override;
    Result<void> make_directory(const std::filesystem::path& path) override;
    Result<std::vector<DirectoryEntry>> list(const std::filesystem::path& path) override;
    Result<void> sync_directory(const std::filesystem::path& path) override;
    Result<SpaceInfo> space(const std::filesystem::path& path) override;
    Result<std::unique_ptr<FolderLock>> lock(const std::filesystem::path& path) override;

private:
    DurableWrite method_;
};

}  // namespace milepost::storage
