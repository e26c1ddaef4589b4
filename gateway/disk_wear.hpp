#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace milepost {

// What a whole block device was written, by the kernel's own count since it was started: every
// process's writes, and what the file system adds. /sys/dev/block/MAJOR:MINOR/stat
// (Documentation/block/stat.rst: field 7, sectors of 512 bytes).
class DiskWear {
public:
    // The device that holds `folder`; where the file system is on no block device of its own
    // (tmpfs, overlay, btrfs) nothing is known. `sys` is replaced by tests.
    explicit DiskWear(
        const std::filesystem::path& folder,
        const std::filesystem::path& sys = "/sys/dev/block"
    );

    // "mmcblk0"; empty: not known.
    [[nodiscard]] const std::string& device() const { return device_; }

    [[nodiscard]] std::optional<std::uint64_t> written_bytes() const;
    // Since this object was made.
    [[nodiscard]] std::optional<std::uint64_t> written_since_start() const;

private:
    std::filesystem::path stat_;
    std::string device_;
    std::optional<std::uint64_t> at_start_;
};

// Bytes written, from the text of a block device's `stat`; nullopt: it is none.
[[nodiscard]] std::optional<std::uint64_t> written_bytes_of(std::string_view stat);

}  // namespace milepost
