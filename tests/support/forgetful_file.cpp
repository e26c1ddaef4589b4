// The open file of the forgetful disk.
#include "storage/base/check.hpp"
#include "tests/support/forgetful_disk.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>

namespace milepost::test {
namespace {

using storage::block_bytes;
using storage::File;
using storage::FilePosition;

constexpr int powered_off = EHOSTDOWN;

ErrorCode system_error(int number) {
    return {number, boost::system::system_category()};
}

}  // namespace

class ForgetfulFile final : public File {
public:
    ForgetfulFile(ForgetfulDisk& disk, std::uint32_t inode, bool writable, std::string path)
        : disk_(disk)
        , inode_(inode)
        , writable_(writable)
        , path_(std::move(path))
        , life_(disk.life_)
        , failures_seen_(disk.inode(inode).sync_failures) {
        ++disk.inode(inode).open_count;
    }

    ForgetfulFile(const ForgetfulFile&) = delete;
    ForgetfulFile& operator=(const ForgetfulFile&) = delete;

    ~ForgetfulFile() override {
        const std::lock_guard lock{disk_.mutex_};
        if (disk_.life_ == life_) disk_.closed(inode_);
    }

    Result<std::size_t> read_at(FilePosition at, MutableBytes into) override {
        const std::lock_guard lock{disk_.mutex_};
        const auto call = disk_.begin(DiskCall::read, life_);
        if (call.error != 0) return system_error(call.error);
        return disk_.inode(inode_).live.read(at.value(), into);
    }

    Result<void> write_at(FilePosition at, Bytes bytes) override {
        const std::lock_guard lock{disk_.mutex_};
        return write(disk_.begin(DiskCall::write, life_), at, bytes);
    }

    Result<void> overwrite_durable(FilePosition at, Bytes bytes) override {
        const std::lock_guard lock{disk_.mutex_};
        const bool is_aligned = at.value() % block_bytes == 0 && bytes.size() % block_bytes == 0 &&
                                reinterpret_cast<std::uintptr_t>(bytes.data()) % block_bytes == 0;
        MILEPOST_CHECK(is_aligned);
        const auto call = disk_.begin(
            {.call = DiskCall::overwrite, .path = path_, .at = at.value(), .handle_nth = 0},
            life_
        );
        if (const auto written = write(call, at, bytes); !written) {
            // Written as a whole and failed: that was the sync.
            if (call.fails && call.short_bytes >= bytes.size()) {
                disk_.inode(inode_).doom();
                failures_seen_ = disk_.inode(inode_).sync_failures;
            }
            return written;
        }
        if (call.lies) return {};
        // Only this write is promised, as with a direct one; what it lies over goes with it.
        auto& inode = disk_.inode(inode_);
        if (inode.sync_failures != failures_seen_) return tell_failure(inode);
        inode.make_durable(at.value(), bytes.size(), disk_.random_, disk_.tear_);
        return {};
    }

    Result<void> sync() override {
        const std::lock_guard lock{disk_.mutex_};
        const auto call = disk_.begin(
            {.call = DiskCall::sync, .path = path_, .at = 0, .handle_nth = ++syncs_},
            life_
        );
        if (call.lies) return {};
        auto& inode = disk_.inode(inode_);
        if (call.error != 0) {
            // The pages that were not written are clean now, as far as the cache knows.
            if (call.fails) {
                inode.doom();
                failures_seen_ = inode.sync_failures;
            }
            return system_error(call.error);
        }
        if (inode.sync_failures != failures_seen_) return tell_failure(inode);
        inode.make_durable(disk_.random_, disk_.tear_);
        return {};
    }

    Result<void> truncate(std::uint64_t bytes) override {
        const std::lock_guard lock{disk_.mutex_};
        const auto call = disk_.begin(DiskCall::truncate, life_);
        if (call.error != 0 && !call.crashes) return system_error(call.error);
        if (!writable_) return system_error(EBADF);
        auto& inode = disk_.inode(inode_);
        inode.truncate(bytes);
        if (call.crashes) return system_error(powered_off);
        return {};
    }

    Result<std::uint64_t> size() override {
        const std::lock_guard lock{disk_.mutex_};
        const auto call = disk_.begin(DiskCall::size, life_);
        if (call.error != 0) return system_error(call.error);
        return disk_.inode(inode_).live.bytes();
    }

    void forget_cached(FilePosition /*at*/, std::uint64_t /*bytes*/) override {
        // A hint, and this cache takes none: what failed syncs lost stays hidden.
    }

private:
    Result<void> write(const ForgetfulDisk::Call& call, FilePosition at, Bytes bytes) {
        if (call.error == 0 || call.crashes) {
            if (!writable_) return system_error(EBADF);
            const auto written = disk_.write(inode_, at.value(), bytes);
            return call.crashes ? Result<void>{system_error(powered_off)} : written;
        }
        // A call that fails may still have written a part.
        if (call.fails && writable_) {
            const Bytes part = bytes.first(std::min(bytes.size(), call.short_bytes));
            MILEPOST_TRY(disk_.write(inode_, at.value(), part));
        }
        return system_error(call.error);
    }

    // Once for each open file, as Linux does.
    Result<void> tell_failure(const DiskInode& inode) {
        failures_seen_ = inode.sync_failures;
        return system_error(EIO);
    }

    ForgetfulDisk& disk_;
    std::uint32_t inode_;
    bool writable_;
    std::string path_;
    std::uint64_t life_;
    std::uint64_t syncs_ = 0;
    std::uint32_t failures_seen_;
};

std::unique_ptr<File> ForgetfulDisk::open_file(
    std::uint32_t inode,
    bool writable,
    std::string path
) {
    return std::make_unique<ForgetfulFile>(*this, inode, writable, std::move(path));
}

}  // namespace milepost::test
