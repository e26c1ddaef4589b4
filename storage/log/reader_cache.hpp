#pragma once

#include "storage/base/result.hpp"
#include "storage/format/offsets.hpp"
#include "storage/fs/file_system.hpp"
#include "storage/log/segment_reader.hpp"

#include <cstddef>
#include <filesystem>
#include <list>
#include <memory>
#include <mutex>

namespace milepost::storage {

// The segments that were read last, kept open: bounds the descriptors that readers hold. Thread:
// any; a reader that was handed out stays valid when the cache drops it.
class ReaderCache {
public:
    static constexpr std::size_t readers_max = 64;

    // `pacer`: outlives it; nullptr: nobody commits beside.
    explicit ReaderCache(FileSystem& files, ReadPacer* pacer = nullptr)
        : files_(files)
        , pacer_(pacer) {}

    Result<std::shared_ptr<SegmentReader>> get(const std::filesystem::path& folder, Offset base);
    // The file is gone, or another one has its name.
    void forget(const std::filesystem::path& folder, Offset base);

private:
    struct Entry {
        std::filesystem::path folder;
        Offset base;
        std::shared_ptr<SegmentReader> reader;
    };

    FileSystem& files_;
    ReadPacer* pacer_;
    std::mutex mutex_;
    std::list<Entry> entries_;  // the last used first
};

}  // namespace milepost::storage
