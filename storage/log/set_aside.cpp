#include "storage/log/set_aside.hpp"

#include "storage/base/units.hpp"

#include <algorithm>
#include <memory>
#include <string>

namespace milepost::storage {

namespace {

constexpr int kept_max = 10'000;  // of one file
constexpr std::size_t piece_bytes = 1 * mib;

// For file systems without hard links, such as FAT.
Result<void> copy(
    FileSystem& files,
    const std::filesystem::path& from,
    const std::filesystem::path& to
) {
    auto source = files.open(from, OpenMode::read);
    if (!source) return source.error();
    const auto unfinished = unfinished_repair(to);
    auto target = files.open(unfinished, OpenMode::create);
    if (!target) return target.error();
    MILEPOST_TRY((*target)->truncate(0));
    Buffer piece(piece_bytes);
    for (FilePosition at{0};;) {
        const auto got = (*source)->read_at(at, piece);
        if (!got) return got.error();
        if (*got == 0) break;
        MILEPOST_TRY((*target)->write_at(at, Bytes{piece}.first(*got)));
        at += *got;
    }
    MILEPOST_TRY((*target)->sync());
    return files.rename(unfinished, to);
}

}  // namespace

std::filesystem::path unfinished_repair(const std::filesystem::path& path) {
    return path.string() + ".repair";
}

Result<std::filesystem::path> name_beside(FileSystem& files, const std::filesystem::path& path) {
    const auto entries = files.list(path.parent_path());
    if (!entries) return entries.error();
    for (int number = 1; number <= kept_max; ++number) {
        const std::string name = path.filename().string() + ".damaged-" + std::to_string(number);
        const bool is_taken = std::any_of(
            entries->begin(),
            entries->end(),
            [&](const DirectoryEntry& entry) { return entry.name == name; }
        );
        if (!is_taken) return path.parent_path() / name;
    }
    return make_error_code(boost::system::errc::file_exists);
}

Result<std::filesystem::path> keep_beside(FileSystem& files, const std::filesystem::path& path) {
    const auto beside = name_beside(files, path);
    if (!beside) return beside.error();
    if (const auto linked = files.link(path, *beside); !linked) {
        if (linked.error() == boost::system::errc::no_such_file_or_directory ||
            linked.error() == boost::system::errc::io_error) {
            return linked.error();
        }
        MILEPOST_TRY(copy(files, path, *beside));
    }
    MILEPOST_TRY(files.sync_directory(path.parent_path()));
    return *beside;
}

Result<void> replace_file(FileSystem& files, const std::filesystem::path& path, Bytes bytes) {
    const auto unfinished = unfinished_repair(path);
    auto file = files.open(unfinished, OpenMode::create);
    if (!file) return file.error();
    MILEPOST_TRY((*file)->truncate(0));
    if (!bytes.empty()) MILEPOST_TRY((*file)->write_at(FilePosition{0}, bytes));
    MILEPOST_TRY((*file)->sync());
    return files.rename(unfinished, path);
}

}  // namespace milepost::storage
