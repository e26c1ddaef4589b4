#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"
#include "storage/base/time.hpp"
#include "storage/format/offsets.hpp"
#include "storage/format/record_batch.hpp"
#include "storage/fs/file_system.hpp"
#include "storage/log/offset_index.hpp"
#include "storage/log/read_pacer.hpp"
#include "storage/log/time_index.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>

namespace milepost::storage {

// What one read of a segment got.
struct SegmentRead {
    Offset first;          // of the first batch: <= the asked offset, or behind a hole
    Offset next;           // behind the last batch; first == next: nothing (behind the end)
    bool damaged = false;  // rotten bytes lie between the asked offset and `first`
};

// A segment as its readers see it: finds by offset and time with the indexes as a hint, checks the
// CRC of everything that it gives. `end` in each call is how much of the `.log` may be looked at:
// what the writer has published. Thread: any number at once.
class SegmentReader {
public:
    // `pacer`: outlives it; nullptr: nobody commits beside.
    static Result<std::unique_ptr<SegmentReader>> open(
        FileSystem& files,
        const std::filesystem::path& folder,
        Offset base,
        ReadPacer* pacer = nullptr
    );

    // Appends whole batches to `to`: from the one that holds `from`, or the first one behind it, as
    // long as they follow each other without a hole and fit `bytes_max`; at least one. Rotten bytes
    // are stepped over, never given.
    Result<SegmentRead> read(Offset from, std::size_t bytes_max, FilePosition end, Buffer& to);

    // The first offset whose record's timestamp is >= `timestamp`; nullopt if there is none.
    Result<std::optional<Offset>> find_timestamp(Timestamp timestamp, FilePosition end);

    [[nodiscard]] Offset base_offset() const { return base_; }

    [[nodiscard]] Result<std::uint64_t> file_bytes() { return log_->size(); }

    File& log_file() { return *log_; }

private:
    struct Place {
        FilePosition position;
        BatchHeader header;
    };

    SegmentReader(Offset base, std::unique_ptr<File> log, ReadPacer* pacer);

    Result<std::optional<BatchHeader>> header_at(FilePosition at, FilePosition end);
    // Where to begin to look for `offset`: never behind its batch.
    FilePosition start_for(Offset offset, FilePosition end);
    // The first batch from `at` on that ends behind `offset`, by the headers only.
    Result<std::optional<Place>> walk_to(Offset offset, FilePosition at, FilePosition end);
    // Fills `to` from the batch at `place` on; a FormatErrc if that one is rotten.
    Result<SegmentRead> take(
        const Place& place,
        std::size_t bytes_max,
        FilePosition end,
        Buffer& to
    );
    // As File::read_at. What lies more than fresh_bytes before `end` gives way to commits.
    Result<std::size_t> read_in_pieces(FilePosition at, MutableBytes into, FilePosition end);
    // Who reads history reads it once: it does not push what others need out of memory.
    void forget_history(FilePosition at, std::uint64_t bytes, FilePosition end);
    // One batch, found without believing any header; for rot and holes.
    Result<SegmentRead> scan_for(Offset from, FilePosition at, FilePosition end, Buffer& to);
    FilePosition start_for(Timestamp timestamp, FilePosition end);

    Offset base_;
    std::unique_ptr<File> log_;
    ReadPacer* pacer_;
    std::unique_ptr<File> offset_file_;
    std::unique_ptr<File> time_file_;
    OffsetIndex offsets_{nullptr};
    TimeIndex times_{nullptr};

    std::mutex last_mutex_;
    Offset last_next_{-1};  // where the last read ended: the next one usually goes on there
    FilePosition last_end_;
};

}  // namespace milepost::storage
