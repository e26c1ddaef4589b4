#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/time.hpp"
#include "storage/format/offsets.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace milepost::storage {

// One durable, uncompressed batch of one group, where the journal's mirror holds it. `base` is the
// first offset that the segments do not have: the batch may begin earlier.
struct TailEntry {
    Offset base;
    Offset next;
    Bytes batch;
    Timestamp max_timestamp;
};

// The durable records of a partition that no segment has yet: views into the ring's mirror, in the
// order of their offsets. Not thread-safe: the partition's mutex is held round every call. The
// mirror keeps the bytes until the checkpointer has dropped their entries and then freed the ring.
class Tail {
public:
    // Behind everything that is there. A hole before it is possible after rot in the journal.
    void push(const TailEntry& entry);

    [[nodiscard]] bool empty() const { return entries_.empty(); }

    [[nodiscard]] std::size_t size() const { return entries_.size(); }

    // The first offset; only if not empty.
    [[nodiscard]] Offset begin() const { return entries_.front().base; }

    // Behind the last offset; only if not empty.
    [[nodiscard]] Offset end() const { return entries_.back().next; }

    // What a read got: batches [first, next) appended to the buffer; first == next: nothing.
    struct Copied {
        Offset first;
        Offset next;
    };

    // Copies the batch that holds `from`, or the first one behind it, and what follows without a
    // hole, up to about `bytes_max`, at least one batch.
    [[nodiscard]] Copied copy(Offset from, std::size_t bytes_max, Buffer& to) const;

    // The first entry that has a record with that timestamp or a later one.
    [[nodiscard]] std::optional<TailEntry> find_timestamp(Timestamp timestamp) const;

    // Everything that is there now, for the checkpointer.
    [[nodiscard]] std::vector<TailEntry> entries() const {
        return {entries_.begin(), entries_.end()};
    }

    // Drops the entries that end at or before `offset`.
    void drop_before(Offset offset);

private:
    [[nodiscard]] std::deque<TailEntry>::const_iterator holding(Offset offset) const;

    std::deque<TailEntry> entries_;
};

}  // namespace milepost::storage
