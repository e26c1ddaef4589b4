#pragma once

#include "storage/fs/file_system.hpp"
#include "tests/support/disk_state.hpp"
#include "tests/support/seeded_random.hpp"

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace milepost::test {

// The calls of the door, for counting and for failing the n-th.
enum class DiskCall : std::uint8_t {
    open,
    read,
    write,
    overwrite,
    sync,
    truncate,
    size,
    rename,
    remove,
    make_directory,
    list,
    sync_directory,
    space,
    lock,
};
inline constexpr std::size_t disk_call_count = 14;
[[nodiscard]] const char* name(DiskCall call);

// What a chosen call does instead of its work.
struct DiskFault {
    int error = 5;          // errno; EIO
    bool for_ever = false;  // or only once
    // write, overwrite: so many bytes of it are written before the error. An overwrite that is
    // written as a whole fails like a sync: the cache shows it, and no later sync writes it.
    std::size_t short_bytes = 0;
    // sync, overwrite, sync_directory: says "done" and keeps nothing. To prove that a test would
    // notice.
    bool lies = false;
};

// One call that could lie: sync, overwrite, sync_directory.
struct DiskMoment {
    DiskCall call;
    std::string_view path;         // as the file was opened, or the folder
    std::uint64_t at = 0;          // of an overwrite
    std::uint64_t handle_nth = 0;  // of a sync: the n-th through this open file, from 1
};

// A disk in memory that keeps only what was synced: file bytes by sync or overwrite_durable, names
// by sync_directory. Deterministic from its seed. Thread: any.
class ForgetfulDisk final : public storage::FileSystem {
public:
    explicit ForgetfulDisk(std::uint64_t seed = 1);

    // --- the door ---
    Result<std::unique_ptr<storage::File>> open(
        const std::filesystem::path& path,
        storage::OpenMode mode
    ) override;
    Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to)
        override;
    Result<void> link(const std::filesystem::path& file, const std::filesystem::path& name)
        override;  // counted as a rename
    Result<void> remove(const std::filesystem::path& path) override;
    Result<void> make_directory(const std::filesystem::path& path) override;
    Result<std::vector<storage::DirectoryEntry>> list(const std::filesystem::path& path) override;
    Result<void> sync_directory(const std::filesystem::path& path) override;
    Result<storage::SpaceInfo> space(const std::filesystem::path& path) override;
    Result<std::unique_ptr<storage::FolderLock>> lock(const std::filesystem::path& path) override;

    // --- faults ---
    // The n-th `call` from now (1: the next) fails. One fault per kind of call.
    void fail(DiskCall call, std::uint64_t nth, DiskFault fault = {});
    void clear_faults();
    // Every call that this says yes to says "done" and keeps nothing; stays until it is replaced.
    void lie_where(std::function<bool(const DiskMoment&)> lies);
    // The power goes at the n-th call from now, of any kind or of one: that call may have done its
    // work or a part of it; it and all later ones fail (EHOSTDOWN) until power_cut().
    void crash_at(std::uint64_t nth);
    void crash_at(DiskCall call, std::uint64_t nth);
    [[nodiscard]] bool is_off() const;
    // The call at which the power went, while it is off.
    [[nodiscard]] std::optional<DiskCall> crashed_at() const;

    // Power off, and on again: every unsynced change is kept, dropped or torn, by 512-byte sectors
    // (or at any byte), each by itself; every unsynced name is there or not. Open files and locks
    // are dead.
    void power_cut();
    // SIGKILL: nothing is lost, what is open is dead, the cache still hides what failed syncs lost.
    void kill_process();

    void set_tear(Tear tear) { tear_ = tear; }

    // Flips a bit at rest. The file exists and is longer than `byte`.
    void flip_bit(const std::filesystem::path& path, std::uint64_t byte, unsigned bit);
    // Cuts a file, at rest.
    void cut(const std::filesystem::path& path, std::uint64_t bytes);
    // More than this in all files is ENOSPC. Whole pages.
    void set_capacity(std::uint64_t bytes);

    // --- looking ---
    [[nodiscard]] std::uint64_t count(DiskCall call) const;
    [[nodiscard]] std::uint64_t count() const;  // of all kinds
    // Of the files of a folder whose names end so, the last one's; empty: there is none.
    [[nodiscard]] std::string last_name(
        const std::filesystem::path& folder,
        std::string_view ending
    ) const;
    [[nodiscard]] bool exists(const std::filesystem::path& path) const;
    [[nodiscard]] Buffer content(const std::filesystem::path& path) const;

    // The state can be kept and put back; what is open dies.
    [[nodiscard]] DiskState snapshot() const;
    void restore(DiskState state);

private:
    friend class ForgetfulFile;
    friend class ForgetfulLock;

    struct Armed {
        std::uint64_t at = 0;  // the count at which it fails; 0: never
        DiskFault fault;
    };

    // What becomes of one call.
    struct Call {
        int error = 0;  // 0: it works
        bool crashes = false;
        bool fails = false;
        bool lies = false;
        std::size_t short_bytes = 0;
    };

    static constexpr std::uint64_t no_limit = ~std::uint64_t{0};

    Call begin(DiskCall call) { return begin(call, life_); }

    Call begin(DiskCall call, std::uint64_t life);
    // Of a call that may lie.
    Call begin(const DiskMoment& moment, std::uint64_t life);

    [[nodiscard]] DiskInode& inode(std::uint32_t number) { return state_.inodes.at(number); }

    [[nodiscard]] DiskInode& inode(const std::filesystem::path& path);
    Result<void> write(std::uint32_t number, std::uint64_t at, Bytes bytes);
    std::unique_ptr<storage::File> open_file(std::uint32_t inode, bool writable, std::string path);
    void closed(std::uint32_t number);
    void die();

    mutable std::mutex mutex_;
    DiskState state_;
    SeededRandom random_;
    std::array<std::uint64_t, disk_call_count> counts_{};
    std::array<Armed, disk_call_count> armed_{};
    std::array<std::uint64_t, disk_call_count> crash_at_{};
    std::uint64_t all_count_ = 0;
    std::uint64_t crash_at_any_ = 0;
    std::uint64_t life_ = 1;  // what was opened in an earlier life is dead
    bool is_off_ = false;
    DiskCall crashed_at_{};
    std::function<bool(const DiskMoment&)> lies_;
    Tear tear_ = Tear::at_sectors;
    std::uint64_t capacity_pages_ = no_limit;
    std::set<std::string> locks_;
};

}  // namespace milepost::test
