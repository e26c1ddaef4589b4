#include "gateway/disk_wear.hpp"

#include <charconv>
#include <fstream>
#include <iterator>

#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace milepost {

namespace {

constexpr std::uint64_t sector_bytes = 512;
constexpr int written_field = 7;  // from 1

}  // namespace

std::optional<std::uint64_t> written_bytes_of(std::string_view stat) {
    for (int field = 1;; ++field) {
        const auto begin = stat.find_first_not_of(" \t\n");
        if (begin == std::string_view::npos) return std::nullopt;
        stat.remove_prefix(begin);
        std::uint64_t number = 0;
        const auto [end, failed] = std::from_chars(stat.data(), stat.data() + stat.size(), number);
        if (failed != std::errc{}) return std::nullopt;
        if (field == written_field) return number * sector_bytes;
        stat.remove_prefix(static_cast<std::size_t>(end - stat.data()));
    }
}

DiskWear::DiskWear(const std::filesystem::path& folder, const std::filesystem::path& sys) {
    struct ::stat info {};

    if (::stat(folder.c_str(), &info) != 0) return;
    std::error_code error;
    auto node = std::filesystem::canonical(
        sys / (std::to_string(major(info.st_dev)) + ":" + std::to_string(minor(info.st_dev))),
        error
    );
    if (error) return;
    // A partition's folder is inside its disk's.
    if (std::filesystem::exists(node / "partition", error)) node = node.parent_path();
    stat_ = node / "stat";
    at_start_ = written_bytes();
    if (at_start_) device_ = node.filename().string();
}

std::optional<std::uint64_t> DiskWear::written_bytes() const {
    std::ifstream file{stat_};
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    return written_bytes_of(text);
}

std::optional<std::uint64_t> DiskWear::written_since_start() const {
    const auto now = written_bytes();
    if (!now || !at_start_ || *now < *at_start_) return std::nullopt;
    return *now - *at_start_;
}

}  // namespace milepost
