#include "storage/fs/posix_file_system.hpp"

#include "storage/base/check.hpp"

#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <unistd.h>

namespace milepost::storage {
namespace {

constexpr mode_t file_mode = 0640;
constexpr mode_t directory_mode = 0750;
constexpr long btrfs_magic = 0x9123683E;
constexpr long zfs_magic = 0x2FC12FC1;
constexpr long bcachefs_magic = 0xCA451A4E;

ErrorCode system_error(int number) {
    return {number, boost::system::system_category()};
}

ErrorCode last_error() {
    return system_error(errno);
}

// A call that a signal interrupted has done nothing and is made again.
template <class Call>
auto retried(Call call) {
    for (;;) {
        const auto result = call();
        if (result >= 0 || errno != EINTR) return result;
    }
}

class Descriptor {
public:
    explicit Descriptor(int number = -1)
        : number_(number) {}

    ~Descriptor() {
        // Not made again on EINTR: on Linux the number is free by then.
        if (number_ >= 0) ::close(number_);
    }

    Descriptor(Descriptor&& other) noexcept
        : number_(std::exchange(other.number_, -1)) {}

    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }

    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    [[nodiscard]] int get() const { return number_; }

    [[nodiscard]] bool is_open() const { return number_ >= 0; }

private:
    int number_;
};

Descriptor open_descriptor(const std::filesystem::path& path, int flags) {
    return Descriptor{retried([&] { return ::open(path.c_str(), flags | O_CLOEXEC, file_mode); })};
}

// Calls `write(bytes, at)` until all is written. A device that takes nothing and says no error
// would go on for ever: that is EIO.
template <class Write>
Result<void> write_all(FilePosition at, Bytes bytes, Write write) {
    while (!bytes.empty()) {
        const ssize_t count = retried([&] { return write(bytes, static_cast<off_t>(at.value())); });
        if (count < 0) return last_error();
        if (count == 0) return system_error(EIO);
        bytes = bytes.subspan(static_cast<std::size_t>(count));
        at += static_cast<std::uint64_t>(count);
    }
    return {};
}

class PosixFile final : public File {
public:
    PosixFile(Descriptor descriptor, Descriptor direct)
        : descriptor_(std::move(descriptor))
        , direct_(std::move(direct)) {}

    Result<std::size_t> read_at(FilePosition at, MutableBytes into) override {
        std::size_t done = 0;
        while (done < into.size()) {
            const MutableBytes rest = into.subspan(done);
            const auto from = static_cast<off_t>((at + done).value());
            const ssize_t count = retried([&] {
                return ::pread(descriptor_.get(), rest.data(), rest.size(), from);
            });
            if (count < 0) return last_error();
            if (count == 0) break;
            done += static_cast<std::size_t>(count);
        }
        return done;
    }

    Result<void> write_at(FilePosition at, Bytes bytes) override {
        return write_all(at, bytes, [&](Bytes rest, off_t to) {
            return ::pwrite(descriptor_.get(), rest.data(), rest.size(), to);
        });
    }

    Result<void> overwrite_durable(FilePosition at, Bytes bytes) override {
        if (direct_.is_open()) return overwrite_direct(at, bytes);
        MILEPOST_TRY(write_at(at, bytes));
        return sync_data();
    }

    Result<void> sync() override { return sync_data(); }

    Result<void> truncate(std::uint64_t bytes) override {
        const auto length = static_cast<off_t>(bytes);
        if (retried([&] { return ::ftruncate(descriptor_.get(), length); }) < 0) {
            return last_error();
        }
        return {};
    }

    Result<std::uint64_t> size() override {
        struct ::stat facts {};

        if (::fstat(descriptor_.get(), &facts) < 0) return last_error();
        return static_cast<std::uint64_t>(facts.st_size);
    }

    void forget_cached(FilePosition at, std::uint64_t bytes) override {
        // A hint: whether it worked changes nothing.
        static_cast<void>(::posix_fadvise(
            descriptor_.get(),
            static_cast<off_t>(at.value()),
            static_cast<off_t>(bytes),
            POSIX_FADV_DONTNEED
        ));
    }

    // Only begins: with one of its waiting flags the call would take note of a failed write-back,
    // and fdatasync would say nothing of it any more.
    void begin_write_out(FilePosition at, std::uint64_t bytes) override {
        static_cast<void>(::sync_file_range(
            descriptor_.get(),
            static_cast<off_t>(at.value()),
            static_cast<off_t>(bytes),
            SYNC_FILE_RANGE_WRITE
        ));
    }

    void read_only_what_is_asked() override {
        static_cast<void>(::posix_fadvise(descriptor_.get(), 0, 0, POSIX_FADV_RANDOM));
    }

private:
    // fdatasync also writes the metadata that is needed to read the data back: the length and where
    // the blocks are. EINTR is given back as it is: what a second call would say is not known.
    Result<void> sync_data() {
        if (::fdatasync(descriptor_.get()) < 0) return last_error();
        return {};
    }

    Result<void> overwrite_direct(FilePosition at, Bytes bytes) {
        return write_all(at, bytes, [&](Bytes rest, off_t to) {
            // writev's parts are mutable, though it only reads from them.
            auto* from = const_cast<std::byte*>(rest.data());  // NOLINT(*-const-cast)
            const ::iovec part{from, rest.size()};
            return ::pwritev2(direct_.get(), &part, 1, to, RWF_DSYNC);
        });
    }

    Descriptor descriptor_;
    Descriptor direct_;  // open: overwrite_durable goes here
};

class PosixLock final : public FolderLock {
public:
    explicit PosixLock(Descriptor descriptor)
        : descriptor_(std::move(descriptor)) {}

private:
    Descriptor descriptor_;
};

int open_flags(OpenMode mode) {
    switch (mode) {
        case OpenMode::read: return O_RDONLY;
        case OpenMode::write: return O_RDWR;
        case OpenMode::create: return O_RDWR | O_CREAT;
        case OpenMode::create_new: return O_RDWR | O_CREAT | O_EXCL;
    }
    return O_RDONLY;
}

// A file system that has no direct writes, or has them for other sizes than ours, refuses the open
// or the first write. Zero bytes are refused too where the flags are not known.
Descriptor open_direct(const std::filesystem::path& path) {
    Descriptor direct = open_descriptor(path, O_RDWR | O_DIRECT);
    if (!direct.is_open()) return direct;
    const ::iovec nothing{nullptr, 0};
    if (::pwritev2(direct.get(), &nothing, 1, 0, RWF_DSYNC) < 0) return Descriptor{};
    return direct;
}

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};

}  // namespace

Result<std::unique_ptr<File>> PosixFileSystem::open(
    const std::filesystem::path& path,
    OpenMode mode
) {
    Descriptor descriptor = open_descriptor(path, open_flags(mode));
    if (!descriptor.is_open()) return last_error();
    Descriptor direct;
    if (method_ == DurableWrite::dsync && mode != OpenMode::read) direct = open_direct(path);
    return std::unique_ptr<File>{
        std::make_unique<PosixFile>(std::move(descriptor), std::move(direct))};
}

Result<void> PosixFileSystem::rename(
    const std::filesystem::path& from,
    const std::filesystem::path& to
) {
    if (::rename(from.c_str(), to.c_str()) < 0) return last_error();
    return {};
}

Result<void> PosixFileSystem::link(
    const std::filesystem::path& file,
    const std::filesystem::path& name
) {
    if (::link(file.c_str(), name.c_str()) < 0) return last_error();
    return {};
}

Result<void> PosixFileSystem::remove(const std::filesystem::path& path) {
    if (::unlink(path.c_str()) == 0) return {};
    const int unlink_error = errno;
    if (unlink_error != EISDIR && unlink_error != EPERM) return system_error(unlink_error);
    if (::rmdir(path.c_str()) == 0) return {};
    return system_error(errno == ENOTDIR ? unlink_error : errno);
}

Result<void> PosixFileSystem::make_directory(const std::filesystem::path& path) {
    if (::mkdir(path.c_str(), directory_mode) == 0) return {};
    const ErrorCode error = last_error();

    struct ::stat facts {};

    const bool is_there = error.value() == EEXIST && ::stat(path.c_str(), &facts) == 0;
    if (is_there && S_ISDIR(facts.st_mode)) return {};
    return error;
}

Result<std::vector<DirectoryEntry>> PosixFileSystem::list(const std::filesystem::path& path) {
    const std::unique_ptr<DIR, CloseDirectory> directory{::opendir(path.c_str())};
    if (!directory) return last_error();
    std::vector<DirectoryEntry> entries;
    for (;;) {
        errno = 0;
        const ::dirent* found = ::readdir(directory.get());
        if (found == nullptr) {
            if (errno != 0) return last_error();
            break;
        }
        std::string name{&found->d_name[0]};
        if (name == "." || name == "..") continue;

        struct ::stat facts {};

        if (::fstatat(::dirfd(directory.get()), name.c_str(), &facts, 0) < 0) {
            // Removed meanwhile, or a link to nowhere: neither is of use to a caller.
            if (errno == ENOENT) continue;
            return last_error();
        }
        entries.push_back(
            {.name = std::move(name),
             .is_directory = S_ISDIR(facts.st_mode),
             .bytes = static_cast<std::uint64_t>(facts.st_size)}
        );
    }
    std::sort(entries.begin(), entries.end(), [](const auto& left, const auto& right) {
        return left.name < right.name;
    });
    return entries;
}

Result<void> PosixFileSystem::sync_directory(const std::filesystem::path& path) {
    const Descriptor directory = open_descriptor(path, O_RDONLY | O_DIRECTORY);
    if (!directory.is_open()) return last_error();
    if (::fsync(directory.get()) < 0) return last_error();
    return {};
}

Result<SpaceInfo> PosixFileSystem::space(const std::filesystem::path& path) {
    struct ::statfs facts {};

    if (retried([&] { return ::statfs(path.c_str(), &facts); }) < 0) return last_error();
    const auto block = static_cast<std::uint64_t>(facts.f_bsize);
    const long kind = facts.f_type;
    return SpaceInfo{
        .capacity_bytes = facts.f_blocks * block,
        .available_bytes = facts.f_bavail * block,
        .is_copy_on_write = kind == btrfs_magic || kind == zfs_magic || kind == bcachefs_magic,
    };
}

Result<std::unique_ptr<FolderLock>> PosixFileSystem::lock(const std::filesystem::path& path) {
    Descriptor descriptor = open_descriptor(path, O_RDWR | O_CREAT);
    // flock works on a descriptor that cannot write, so a read-only disk can be looked at.
    if (!descriptor.is_open() && (errno == EROFS || errno == EACCES)) {
        descriptor = open_descriptor(path, O_RDONLY);
    }
    if (!descriptor.is_open()) return last_error();
    if (retried([&] { return ::flock(descriptor.get(), LOCK_EX | LOCK_NB); }) < 0) {
        return last_error();
    }
    return std::unique_ptr<FolderLock>{std::make_unique<PosixLock>(std::move(descriptor))};
}

}  // namespace milepost::storage
