#include "gateway/tool/append_file.hpp"

#include "gateway/tool/failure.hpp"

#include <fmt/format.h>

namespace milepost::tool {

std::unique_ptr<storage::File> open_to_append(
    storage::FileSystem& files,
    const std::filesystem::path& path,
    bool is_resumed,
    std::uint64_t bytes
) {
    auto opened = files.open(path, storage::OpenMode::create);
    if (!opened) must(opened.error(), path);
    auto file = std::move(*opened);
    const auto size = file->size();
    if (!size) must(size.error(), path);
    if (*size < bytes) {
        throw Failure{
            exit_run_time,
            fmt::format(
                "{} has {} bytes, its state says {}: it is not as the replay left it",
                path.string(),
                *size,
                bytes
            )};
    }
    if (*size > 0 && !is_resumed) {
        throw Failure{exit_run_time, path.string() + " is there already, and not empty"};
    }
    if (*size > bytes) must(file->truncate(bytes), path);
    if (bytes > 0) return file;
    must(files.sync_directory(path.has_parent_path() ? path.parent_path() : "."), path);
    return file;
}

void must(const Result<void>& done, const std::filesystem::path& path) {
    if (done) return;
    throw Failure{exit_disk, fmt::format("{}: {}", path.string(), done.error().message())};
}

}  // namespace milepost::tool
