#include "tests/support/disk_state.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace milepost::test {
namespace {

using storage::block_bytes;

constexpr std::uint64_t sector_bytes = 512;

std::uint64_t pages_for(std::uint64_t bytes) {
    return (bytes + block_bytes - 1) / block_bytes;
}

bool is_root(std::string_view path) {
    return path.empty() || path == "/" || path == ".";
}

bool names_folder(const DiskNames& names, std::string_view path) {
    if (is_root(path)) return true;
    const auto found = names.find(std::string{path});
    return found != names.end() && found->second.is_directory;
}

bool names_inode(const DiskNames& names, std::uint32_t number) {
    return std::any_of(names.begin(), names.end(), [&](const auto& named) {
        return !named.second.is_directory && named.second.inode == number;
    });
}

bool overlap(const DiskChange& change, std::uint64_t at, std::uint64_t bytes) {
    return !change.data || (change.at < at + bytes && at < change.at + change.bytes);
}

}  // namespace

std::string_view folder_of(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string_view::npos) return {};
    return path.substr(0, std::max<std::size_t>(slash, 1));
}

void DiskContent::write(std::uint64_t at, Bytes data) {
    bytes_ = std::max(bytes_, at + data.size());
    pages_.resize(pages_for(bytes_));
    while (!data.empty()) {
        std::shared_ptr<Page>& page = pages_[at / block_bytes];
        const std::size_t inside = at % block_bytes;
        const std::size_t count = std::min(data.size(), block_bytes - inside);
        if (!page) {
            page = std::make_shared<Page>();
        } else if (page.use_count() > 1) {
            page = std::make_shared<Page>(*page);
        }
        std::memcpy(page->data() + inside, data.data(), count);
        data = data.subspan(count);
        at += count;
    }
}

void DiskContent::resize(std::uint64_t bytes) {
    pages_.resize(pages_for(bytes));
    const std::size_t inside = bytes % block_bytes;
    if (bytes < bytes_ && inside != 0 && pages_.back()) {
        auto page = std::make_shared<Page>(*pages_.back());
        std::memset(page->data() + inside, 0, block_bytes - inside);
        pages_.back() = std::move(page);
    }
    bytes_ = bytes;
}

std::size_t DiskContent::read(std::uint64_t at, MutableBytes into) const {
    if (at >= bytes_) return 0;
    const std::size_t total = std::min<std::uint64_t>(into.size(), bytes_ - at);
    std::size_t done = 0;
    while (done < total) {
        const auto& page = pages_[(at + done) / block_bytes];
        const std::size_t inside = (at + done) % block_bytes;
        const std::size_t count = std::min(total - done, block_bytes - inside);
        if (page) {
            std::memcpy(into.data() + done, page->data() + inside, count);
        } else {
            std::memset(into.data() + done, 0, count);
        }
        done += count;
    }
    return total;
}

void DiskChange::apply_to(DiskContent& content) const {
    if (data) {
        content.write(at, *data);
    } else {
        content.resize(bytes);
    }
}

void DiskChange::tear_into(DiskContent& content, SeededRandom& random, Tear tear) const {
    if (!data) {
        if (random.chance(1, 2)) apply_to(content);
        return;
    }
    const Bytes all{*data};
    // The length may have got there without the bytes.
    if (at + bytes > content.bytes() && random.chance(1, 2)) content.resize(at + bytes);
    if (random.chance(1, 2)) {
        std::uint64_t count = random.below(bytes + 1);
        if (tear == Tear::at_sectors) count -= std::min(count, (at + count) % sector_bytes);
        if (count > 0) content.write(at, all.first(count));
        return;
    }
    for (std::uint64_t done = 0; done < bytes;) {
        const std::uint64_t to_border = sector_bytes - (at + done) % sector_bytes;
        const std::uint64_t count = std::min(to_border, bytes - done);
        if (random.chance(1, 2)) content.write(at + done, all.subspan(done, count));
        done += count;
    }
}

void DiskInode::write(std::uint64_t at, Bytes data) {
    live.write(at, data);
    unsynced.push_back(
        {.at = at,
         .bytes = data.size(),
         .data = std::make_shared<const Buffer>(data.begin(), data.end())}
    );
}

void DiskInode::truncate(std::uint64_t bytes) {
    live.resize(bytes);
    unsynced.push_back({.at = 0, .bytes = bytes, .data = nullptr});
}

void DiskInode::make_durable(SeededRandom& random, Tear tear) {
    for (const DiskChange& change : unsynced) {
        settle_doomed_under(change, random, tear);
        change.apply_to(durable);
    }
    unsynced.clear();
}

void DiskInode::make_durable(
    std::uint64_t at,
    std::uint64_t bytes,
    SeededRandom& random,
    Tear tear
) {
    // What was cut off cannot come back over what is written now: up to the last truncate all is
    // done.
    const auto is_truncate = [](const DiskChange& change) {
        return !change.data;
    };
    const auto last = std::find_if(unsynced.rbegin(), unsynced.rend(), is_truncate);
    const std::vector<DiskChange> later(last.base(), unsynced.end());
    unsynced.erase(last.base(), unsynced.end());
    make_durable(random, tear);
    unsynced = later;
    std::vector<DiskChange> waiting;
    for (DiskChange& change : unsynced) {
        if (overlap(change, at, bytes)) {
            settle_doomed_under(change, random, tear);
            change.apply_to(durable);
        } else {
            waiting.push_back(std::move(change));
        }
    }
    unsynced = std::move(waiting);
}

// What is doomed got to the disk before what is written over it now, or never.
void DiskInode::settle_doomed_under(const DiskChange& change, SeededRandom& random, Tear tear) {
    std::vector<DiskChange> left;
    for (DiskChange& old : doomed) {
        if (overlap(old, change.at, change.bytes) || !change.data) {
            old.tear_into(durable, random, tear);
        } else {
            left.push_back(std::move(old));
        }
    }
    doomed = std::move(left);
}

void DiskInode::doom() {
    ++sync_failures;
    std::move(unsynced.begin(), unsynced.end(), std::back_inserter(doomed));
    unsynced.clear();
}

// Later changes may be there without earlier ones; where two touch one place, the later one is
// later on the disk too, because the cache has one page for it.
void DiskInode::settle(SeededRandom& random, Tear tear) {
    // Nothing lost and nothing kept, of the whole file, are worth more than chance gives them.
    const std::uint64_t mood = random.below(8);
    for (auto* changes : {&doomed, &unsynced}) {
        for (const DiskChange& change : *changes) {
            const std::uint64_t fate = mood < 2 ? mood : random.below(4);
            if (fate == 0) continue;
            if (fate == 1) {
                change.apply_to(durable);
            } else {
                change.tear_into(durable, random, tear);
            }
        }
        changes->clear();
    }
    live = durable;
    sync_failures = 0;
}

void DiskNameChange::apply_to(DiskNames& names) const {
    if (!erase.empty()) names.erase(erase);
    if (!set.empty()) names[set] = name;
}

bool DiskNameChange::is_in(std::string_view folder) const {
    return (!set.empty() && folder_of(set) == folder) ||
           (!erase.empty() && folder_of(erase) == folder);
}

void DiskState::change(DiskNameChange change) {
    lose_name(change.erase);
    lose_name(change.set);
    change.apply_to(live);
    unsynced_names.push_back(std::move(change));
}

void DiskState::lose_name(const std::string& path) {
    const auto named = live.find(path);
    if (named == live.end() || named->second.is_directory) return;
    inodes.at(named->second.inode).lost_a_name = true;
}

std::uint32_t DiskState::make_file(const std::string& path) {
    const std::uint32_t number = next_inode++;
    inodes[number];
    change({.erase = {}, .set = path, .name = {.is_directory = false, .inode = number}});
    return number;
}

void DiskState::sync_names(std::string_view folder) {
    std::vector<DiskNameChange> others;
    for (DiskNameChange& change : unsynced_names) {
        if (change.is_in(folder)) {
            change.apply_to(durable);
        } else {
            others.push_back(std::move(change));
        }
    }
    unsynced_names = std::move(others);
    std::vector<std::uint32_t> numbers;
    for (const auto& [number, inode] : inodes) {
        if (inode.lost_a_name) numbers.push_back(number);
    }
    for (const std::uint32_t number : numbers) {
        forget_if_unused(number);
    }
}

void DiskState::forget_if_unused(std::uint32_t number) {
    const auto found = inodes.find(number);
    if (found == inodes.end() || found->second.open_count > 0) return;
    if (!found->second.lost_a_name) return;
    if (names_inode(live, number) || names_inode(durable, number)) return;
    const auto may_name = [&](const DiskNameChange& change) {
        return !change.set.empty() && change.name.inode == number;
    };
    if (std::any_of(unsynced_names.begin(), unsynced_names.end(), may_name)) return;
    inodes.erase(found);
}

bool DiskState::has_folder(std::string_view path) const {
    return names_folder(live, path);
}

std::uint64_t DiskState::page_count() const {
    std::uint64_t pages = 0;
    for (const auto& [number, inode] : inodes) {
        pages += inode.live.page_count();
    }
    return pages;
}

void DiskState::power_cut(SeededRandom& random, Tear tear) {
    for (const DiskNameChange& change : unsynced_names) {
        if (random.chance(1, 2)) change.apply_to(durable);
    }
    unsynced_names.clear();
    // A name is only reached through its folder; folders sort before what is in them.
    for (auto named = durable.begin(); named != durable.end();) {
        named = names_folder(durable, folder_of(named->first)) ? std::next(named)
                                                               : durable.erase(named);
    }
    for (auto inode = inodes.begin(); inode != inodes.end();) {
        if (names_inode(durable, inode->first)) {
            inode->second.settle(random, tear);
            ++inode;
        } else {
            inode = inodes.erase(inode);
        }
    }
    live = durable;
}

}  // namespace milepost::test
