#include "storage/log/reader_cache.hpp"

#include <algorithm>
#include <utility>

namespace milepost::storage {

Result<std::shared_ptr<SegmentReader>> ReaderCache::get(
    const std::filesystem::path& folder,
    Offset base
) {
    {
        const std::lock_guard guard{mutex_};
        const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
            return entry.base == base && entry.folder == folder;
        });
        if (found != entries_.end()) {
            entries_.splice(entries_.begin(), entries_, found);
            return entries_.front().reader;
        }
    }
    auto opened = SegmentReader::open(files_, folder, base, pacer_);
    if (!opened) return opened.error();
    std::shared_ptr<SegmentReader> reader = std::move(*opened);
    const std::lock_guard guard{mutex_};
    entries_.push_front({.folder = folder, .base = base, .reader = reader});
    if (entries_.size() > readers_max) entries_.pop_back();
    return reader;
}

void ReaderCache::forget(const std::filesystem::path& folder, Offset base) {
    const std::lock_guard guard{mutex_};
    entries_.remove_if([&](const Entry& entry) {
        return entry.base == base && entry.folder == folder;
    });
}

}  // namespace milepost::storage
