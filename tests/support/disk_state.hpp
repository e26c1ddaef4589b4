#pragma once

#include "storage/base/bytes.hpp"
#include "storage/fs/file_system.hpp"
#include "tests/support/seeded_random.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace milepost::test {

// How much of an unsynced write may get to the disk.
enum class Tear : std::uint8_t { at_sectors, at_any_byte };

// The bytes of one file. Copies share pages until one of them is written.
class DiskContent {
public:
    void write(std::uint64_t at, Bytes data);
    void resize(std::uint64_t bytes);
    [[nodiscard]] std::size_t read(std::uint64_t at, MutableBytes into) const;

    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

    [[nodiscard]] std::uint64_t page_count() const { return pages_.size(); }

private:
    using Page = std::array<std::byte, storage::block_bytes>;

    std::vector<std::shared_ptr<Page>> pages_;  // null: never written, zeros
    std::uint64_t bytes_ = 0;
};

// What happened to a file since its last sync.
struct DiskChange {
    std::uint64_t at = 0;
    std::uint64_t bytes = 0;             // of a truncate: the new length
    std::shared_ptr<const Buffer> data;  // null: a truncate

    void apply_to(DiskContent& content) const;
    void tear_into(DiskContent& content, SeededRandom& random, Tear tear) const;
};

struct DiskInode {
    DiskContent live;     // what readers see
    DiskContent durable;  // what a power cut leaves for sure
    std::vector<DiskChange> unsynced;
    std::vector<DiskChange>
        doomed;  // a sync failed over them: readers see them, no sync writes them
    std::uint32_t sync_failures = 0;
    std::uint32_t open_count = 0;
    bool lost_a_name = false;  // else it has the one it was made with

    void write(std::uint64_t at, Bytes data);
    void truncate(std::uint64_t bytes);
    void make_durable(SeededRandom& random, Tear tear);
    // Only what overlaps [at, at + bytes), as a direct write does.
    void make_durable(std::uint64_t at, std::uint64_t bytes, SeededRandom& random, Tear tear);
    void doom();
    // Each change by itself is kept, dropped or torn.
    void settle(SeededRandom& random, Tear tear);

private:
    void settle_doomed_under(const DiskChange& change, SeededRandom& random, Tear tear);
};

struct DiskName {
    bool is_directory = false;
    std::uint32_t inode = 0;
};

// Whole paths, without a slash at the end.
using DiskNames = std::map<std::string, DiskName>;

// Of the folder of `set` or `erase`; a rename is both, at once.
struct DiskNameChange {
    std::string erase;
    std::string set;
    DiskName name;

    void apply_to(DiskNames& names) const;
    [[nodiscard]] bool is_in(std::string_view folder) const;
};

// Everything on a disk and in its cache. A copy is cheap.
struct DiskState {
    DiskNames live;
    DiskNames durable;
    std::vector<DiskNameChange> unsynced_names;
    std::map<std::uint32_t, DiskInode> inodes;
    std::uint32_t next_inode = 1;

    void change(DiskNameChange change);
    std::uint32_t make_file(const std::string& path);
    void sync_names(std::string_view folder);
    void forget_if_unused(std::uint32_t number);
    [[nodiscard]] bool has_folder(std::string_view path) const;
    [[nodiscard]] std::uint64_t page_count() const;
    void power_cut(SeededRandom& random, Tear tear);

private:
    void lose_name(const std::string& path);
};

[[nodiscard]] std::string_view folder_of(std::string_view path);

}  // namespace milepost::test
