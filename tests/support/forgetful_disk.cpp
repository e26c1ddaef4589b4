#include "tests/support/forgetful_disk.hpp"

#include "storage/base/check.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace milepost::test {
namespace {

using storage::block_bytes;
using storage::DirectoryEntry;
using storage::File;
using storage::FolderLock;
using storage::OpenMode;
using storage::SpaceInfo;

constexpr int powered_off = EHOSTDOWN;

ErrorCode system_error(int number) {
    return {number, boost::system::system_category()};
}

std::size_t index(DiskCall call) {
    return static_cast<std::size_t>(call);
}

std::string key(const std::filesystem::path& path) {
    std::string text = path.lexically_normal().string();
    while (text.size() > 1 && text.back() == '/') {
        text.pop_back();
    }
    return text;
}

}  // namespace

const char* name(DiskCall call) {
    static constexpr std::array<const char*, disk_call_count> names{
        "open",
        "read",
        "write",
        "overwrite",
        "sync",
        "truncate",
        "size",
        "rename",
        "remove",
        "mkdir",
        "list",
        "syncdir",
        "space",
        "lock"};
    return names[index(call)];
}

class ForgetfulLock final : public FolderLock {
public:
    ForgetfulLock(ForgetfulDisk& disk, std::string path)
        : disk_(disk)
        , path_(std::move(path))
        , life_(disk.life_) {}

    ForgetfulLock(const ForgetfulLock&) = delete;
    ForgetfulLock& operator=(const ForgetfulLock&) = delete;

    ~ForgetfulLock() override {
        const std::lock_guard lock{disk_.mutex_};
        if (disk_.life_ == life_) disk_.locks_.erase(path_);
    }

private:
    ForgetfulDisk& disk_;
    std::string path_;
    std::uint64_t life_;
};

// --- the door ---

ForgetfulDisk::ForgetfulDisk(std::uint64_t seed)
    : random_(seed) {}

ForgetfulDisk::Call ForgetfulDisk::begin(DiskCall call, std::uint64_t life) {
    Call result;
    if (is_off_) result.error = powered_off;
    if (life != life_) result.error = ESTALE;
    if (result.error != 0) return result;
    const std::uint64_t nth = ++counts_[index(call)];
    ++all_count_;
    if (all_count_ == crash_at_any_ || nth == crash_at_[index(call)]) {
        is_off_ = true;
        crashed_at_ = call;
        result.crashes = true;
        result.error = powered_off;
        return result;
    }
    const Armed& armed = armed_[index(call)];
    const bool hits = armed.at != 0 &&
                      (nth == armed.at || (armed.fault.for_ever && nth > armed.at));
    if (!hits) return result;
    result.lies = armed.fault.lies;
    result.fails = !armed.fault.lies;
    result.error = armed.fault.lies ? 0 : armed.fault.error;
    result.short_bytes = armed.fault.short_bytes;
    return result;
}

ForgetfulDisk::Call ForgetfulDisk::begin(const DiskMoment& moment, std::uint64_t life) {
    Call result = begin(moment.call, life);
    if (result.error == 0 && lies_ && lies_(moment)) result.lies = true;
    return result;
}

Result<std::unique_ptr<File>> ForgetfulDisk::open(
    const std::filesystem::path& path,
    OpenMode mode
) {
    const std::lock_guard lock{mutex_};
    const Call call = begin(DiskCall::open);
    if (call.error != 0 && !call.crashes) return system_error(call.error);
    const std::string name = key(path);
    auto found = state_.live.find(name);
    const bool exists = found != state_.live.end();
    if (exists && found->second.is_directory) return system_error(EISDIR);
    if (exists && mode == OpenMode::create_new) return system_error(EEXIST);
    if (!exists) {
        const bool makes = mode == OpenMode::create || mode == OpenMode::create_new;
        if (!makes || !state_.has_folder(folder_of(name))) return system_error(ENOENT);
        state_.make_file(name);
        found = state_.live.find(name);
    }
    if (call.crashes) return system_error(powered_off);
    return open_file(found->second.inode, mode != OpenMode::read, name);
}

Result<void> ForgetfulDisk::rename(
    const std::filesystem::path& from,
    const std::filesystem::path& to
) {
    const std::lock_guard lock{mutex_};
    const Call call = begin(DiskCall::rename);
    if (call.error != 0 && !call.crashes) return system_error(call.error);
    const auto found = state_.live.find(key(from));
    if (found == state_.live.end()) return system_error(ENOENT);
    MILEPOST_CHECK(!found->second.is_directory);  // nobody needs it
    const DiskName entry = found->second;
    const auto replaced = state_.live.find(key(to));
    const bool replaces = replaced != state_.live.end();
    if (replaces && replaced->second.is_directory) return system_error(EISDIR);
    const std::uint32_t old = replaces ? replaced->second.inode : 0;
    state_.change({.erase = key(from), .set = key(to), .name = entry});
    if (replaces) state_.forget_if_unused(old);
    if (call.crashes) return system_error(powered_off);
    return {};
}

Result<void> ForgetfulDisk::link(
    const std::filesystem::path& file,
    const std::filesystem::path& name
) {
    const std::lock_guard lock{mutex_};
    const Call call = begin(DiskCall::rename);
    if (call.error != 0 && !call.crashes) return system_error(call.error);
    const auto found = state_.live.find(key(file));
    if (found == state_.live.end()) return system_error(ENOENT);
    if (state_.live.find(key(name)) != state_.live.end()) return system_error(EEXIST);
    state_.change({.erase = {}, .set = key(name), .name = found->second});
    if (call.crashes) return system_error(powered_off);
    return {};
}

Result<void> ForgetfulDisk::remove(const std::filesystem::path& path) {
    const std::lock_guard lock{mutex_};
    const Call call = begin(DiskCall::remove);
    if (call.error != 0 && !call.crashes) return system_error(call.error);
    const std::string name = key(path);
    const auto found = state_.live.find(name);
    if (found == state_.live.end()) return system_error(ENOENT);
    const DiskName entry = found->second;
    if (entry.is_directory) {
        const auto child = state_.live.upper_bound(name + "/");
        const bool has_child = child != state_.live.end() && child->first.starts_with(name + "/");
        if (has_child) return system_error(ENOTEMPTY);
    }
    state_.change({.erase = name, .set = {}, .name = {}});
    if (!entry.is_directory) state_.forget_if_unused(entry.inode);
    if (call.crashes) return system_error(powered_off);
    return {};
}

Result<void> ForgetfulDisk::make_directory(const std::filesystem::path& path) {
    const std::lock_guard lock{mutex_};
    const Call call = begin(DiskCall::make_directory);
    if (call.error != 0 && !call.crashes) return system_error(call.error);
    const std::string name = key(path);
    const auto found = state_.live.find(name);
    if (found != state_.live.end() && !found->second.is_directory) return system_error(EEXIST);
    if (found == state_.live.end() && !name.empty()) {
        if (!state_.has_folder(folder_of(name))) return system_error(ENOENT);
        state_.change({.erase = {}, .set = name, .name = {.is_directory = true, .inode = 0}});
    }
    if (call.crashes) return system_error(powered_off);
    return {};
}

Result<std::vector<DirectoryEntry>> ForgetfulDisk::list(const std::filesystem::path& path) {
    const std::lock_guard lock{mutex_};
    const Call call = begin(DiskCall::list);
    if (call.error != 0) return system_error(call.error);
    const std::string folder = key(path);
    if (!state_.has_folder(folder)) return system_error(ENOENT);
    std::vector<DirectoryEntry> entries;
    for (const auto& [name, entry] : state_.live) {
        if (folder_of(name) != folder) continue;
        const std::size_t base = folder == "/" ? 1 : folder.size() + 1;
        entries.push_back(
            {.name = name.substr(folder.empty() ? 0 : base),
             .is_directory = entry.is_directory,
             .bytes = entry.is_directory ? 0 : inode(entry.inode).live.bytes()}
        );
    }
    return entries;
}

Result<void> ForgetfulDisk::sync_directory(const std::filesystem::path& path) {
    const std::lock_guard lock{mutex_};
    const std::string folder = key(path);
    const Call call =
        begin({.call = DiskCall::sync_directory, .path = folder, .at = 0, .handle_nth = 0}, life_);
    if (call.error != 0) return system_error(call.error);
    if (call.lies) return {};
    if (!state_.has_folder(folder)) return system_error(ENOENT);
    state_.sync_names(folder);
    return {};
}

Result<SpaceInfo> ForgetfulDisk::space(const std::filesystem::path& /*path*/) {
    const std::lock_guard lock{mutex_};
    const Call call = begin(DiskCall::space);
    if (call.error != 0) return system_error(call.error);
    const std::uint64_t used = state_.page_count();
    const std::uint64_t free = capacity_pages_ > used ? capacity_pages_ - used : 0;
    return SpaceInfo{
        .capacity_bytes = capacity_pages_ * block_bytes,
        .available_bytes = free * block_bytes,
    };
}

Result<std::unique_ptr<FolderLock>> ForgetfulDisk::lock(const std::filesystem::path& path) {
    const std::lock_guard lock{mutex_};
    const Call call = begin(DiskCall::lock);
    if (call.error != 0) return system_error(call.error);
    const std::string name = key(path);
    if (state_.live.find(name) == state_.live.end()) {
        if (!state_.has_folder(folder_of(name))) return system_error(ENOENT);
        state_.make_file(name);
    }
    if (!locks_.insert(name).second) return system_error(EWOULDBLOCK);
    return std::unique_ptr<FolderLock>{std::make_unique<ForgetfulLock>(*this, name)};
}

Result<void> ForgetfulDisk::write(std::uint32_t number, std::uint64_t at, Bytes bytes) {
    if (bytes.empty()) return {};
    DiskInode& file = inode(number);
    const std::uint64_t pages_after = (at + bytes.size() + block_bytes - 1) / block_bytes;
    const std::uint64_t pages_before = file.live.page_count();
    if (pages_after > pages_before && capacity_pages_ != no_limit &&
        state_.page_count() + pages_after - pages_before > capacity_pages_) {
        return system_error(ENOSPC);
    }
    file.write(at, bytes);
    return {};
}

void ForgetfulDisk::closed(std::uint32_t number) {
    --inode(number).open_count;
    state_.forget_if_unused(number);
}

// --- faults ---

void ForgetfulDisk::fail(DiskCall call, std::uint64_t nth, DiskFault fault) {
    const std::lock_guard lock{mutex_};
    armed_[index(call)] = {.at = counts_[index(call)] + nth, .fault = fault};
}

void ForgetfulDisk::clear_faults() {
    const std::lock_guard lock{mutex_};
    armed_ = {};
    crash_at_ = {};
    crash_at_any_ = 0;
}

void ForgetfulDisk::lie_where(std::function<bool(const DiskMoment&)> lies) {
    const std::lock_guard lock{mutex_};
    lies_ = std::move(lies);
}

void ForgetfulDisk::crash_at(std::uint64_t nth) {
    const std::lock_guard lock{mutex_};
    crash_at_any_ = all_count_ + nth;
}

void ForgetfulDisk::crash_at(DiskCall call, std::uint64_t nth) {
    const std::lock_guard lock{mutex_};
    crash_at_[index(call)] = counts_[index(call)] + nth;
}

bool ForgetfulDisk::is_off() const {
    const std::lock_guard lock{mutex_};
    return is_off_;
}

std::optional<DiskCall> ForgetfulDisk::crashed_at() const {
    const std::lock_guard lock{mutex_};
    return is_off_ ? std::optional{crashed_at_} : std::nullopt;
}

void ForgetfulDisk::power_cut() {
    const std::lock_guard lock{mutex_};
    state_.power_cut(random_, tear_);
    die();
}

void ForgetfulDisk::kill_process() {
    const std::lock_guard lock{mutex_};
    die();
}

void ForgetfulDisk::die() {
    ++life_;
    is_off_ = false;
    crash_at_ = {};
    crash_at_any_ = 0;
    locks_.clear();
    for (auto& [number, inode] : state_.inodes) {
        inode.open_count = 0;
    }
}

void ForgetfulDisk::flip_bit(const std::filesystem::path& path, std::uint64_t byte, unsigned bit) {
    const std::lock_guard lock{mutex_};
    DiskInode& file = inode(path);
    for (DiskContent* content : {&file.live, &file.durable}) {
        std::byte value{};
        if (content->read(byte, {&value, 1}) != 1) continue;
        value ^= std::byte{1} << bit;
        content->write(byte, {&value, 1});
    }
}

void ForgetfulDisk::cut(const std::filesystem::path& path, std::uint64_t bytes) {
    const std::lock_guard lock{mutex_};
    DiskInode& file = inode(path);
    file.live.resize(bytes);
    file.durable.resize(bytes);
}

void ForgetfulDisk::set_capacity(std::uint64_t bytes) {
    const std::lock_guard lock{mutex_};
    capacity_pages_ = bytes / block_bytes;
}

DiskInode& ForgetfulDisk::inode(const std::filesystem::path& path) {
    return inode(state_.live.at(key(path)).inode);
}

// --- looking ---

std::uint64_t ForgetfulDisk::count(DiskCall call) const {
    const std::lock_guard lock{mutex_};
    return counts_[index(call)];
}

std::uint64_t ForgetfulDisk::count() const {
    const std::lock_guard lock{mutex_};
    return all_count_;
}

std::string ForgetfulDisk::last_name(const std::filesystem::path& folder, std::string_view ending)
    const {
    const std::lock_guard lock{mutex_};
    const std::string inside = key(folder) + "/";
    std::string last;
    for (auto named = state_.live.lower_bound(inside);
         named != state_.live.end() && named->first.starts_with(inside);
         ++named) {
        if (named->first.ends_with(ending)) last = named->first;
    }
    return last;
}

bool ForgetfulDisk::exists(const std::filesystem::path& path) const {
    const std::lock_guard lock{mutex_};
    return state_.live.contains(key(path));
}

Buffer ForgetfulDisk::content(const std::filesystem::path& path) const {
    const std::lock_guard lock{mutex_};
    const DiskContent& live = state_.inodes.at(state_.live.at(key(path)).inode).live;
    Buffer all(live.bytes());
    all.resize(live.read(0, all));
    return all;
}

DiskState ForgetfulDisk::snapshot() const {
    const std::lock_guard lock{mutex_};
    return state_;
}

void ForgetfulDisk::restore(DiskState state) {
    const std::lock_guard lock{mutex_};
    state_ = std::move(state);
    die();
}

}  // namespace milepost::test
