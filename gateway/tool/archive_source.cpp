#include "gateway/tool/archive_source.hpp"

#include "gateway/tool/archive_file.hpp"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

namespace milepost::tool {

// A partition, at its next batch.
struct ArchiveSource::Part {
    Part(LogSource& log, StreamPosition at, Timestamp so_far, std::size_t chunk_bytes)
        : position(std::move(at))
        , batches(log, position, chunk_bytes)
        , newest(so_far) {}

    StreamPosition position;  // behind what was passed
    PartitionBatches batches;
    Timestamp newest;        // of what was passed
    storage::Offset behind;  // the batch
    storage::BatchHeader header;
    Bytes bytes;
    Buffer made;     // what the selection left of one
    Timestamp time;  // of its frame
};

ArchiveSource::ArchiveSource(
    LogSource& log,
    const Selection& selection,
    const std::vector<StreamPosition>& positions,
    const Newest& newest
)
    : selection_(selection) {
    for (const auto& position : positions) {
        const auto found = newest.find(position.name);
        const auto so_far = found == newest.end() ? Timestamp{INT64_MIN} : found->second;
        const auto chunk_bytes = chunk_bytes_of(positions.size());
        parts_.push_back(std::make_unique<Part>(log, position, so_far, chunk_bytes));
        push(*parts_.back());
        all_ += static_cast<std::uint64_t>(position.end - position.next);
    }
}

bool ArchiveSource::later(const Part* left, const Part* right) {
    return std::tie(left->time, left->position.name) > std::tie(right->time, right->position.name);
}

ArchiveSource::~ArchiveSource() = default;

std::optional<ArchiveSource::Batch> ArchiveSource::next() {
    if (heads_.empty()) return std::nullopt;
    const auto& part = *heads_.front();
    return Batch{
        .name = part.position.name,
        .bytes = part.bytes,
        .records = static_cast<std::uint64_t>(part.header.record_count),
        .newest = std::max(part.newest, part.header.max_timestamp)};
}

void ArchiveSource::pass() {
    std::ranges::pop_heap(heads_, later);
    auto& passed = *heads_.back();
    heads_.pop_back();
    passed.position.next = passed.behind;
    passed.newest = std::max(passed.newest, passed.header.max_timestamp);
    push(passed);
}

void ArchiveSource::push(Part& part) {
    if (!advance(part)) {
        part.position.next = std::max(part.position.next, part.position.end);
        return;
    }
    part.time = frame_time(part.header, part.newest);
    heads_.push_back(&part);
    std::ranges::push_heap(heads_, later);
}

// To the next batch of which the selection leaves something.
bool ArchiveSource::advance(Part& part) {
    while (const auto batch = part.batches.next()) {
        const auto& header = batch->header;
        if (header.base_offset >= part.position.end) return false;
        part.behind = std::min(header.next_offset(), part.position.end);
        if (header.is_control || part.behind <= part.position.next) continue;
        const bool is_whole = selection_.keys.empty() && header.base_offset >= part.position.next &&
                              header.next_offset() <= part.position.end;
        if (!is_whole) {
            if (cut(part, *batch)) return true;
            continue;
        }
        part.header = header;
        part.bytes = batch->bytes;
        return true;
    }
    return false;
}

// False: nothing is left of it.
bool ArchiveSource::cut(Part& part, const CheckedBatch& batch) {
    auto cursor = storage::RecordCursor::open(batch.bytes, batch.header, scratch_);
    if (!cursor) part.batches.refuse("a batch cannot be read", cursor.error());
    bool is_begun = false;
    while (true) {
        const auto record = cursor->next();
        if (!record) part.batches.refuse("a record is rotten", record.error());
        if (!*record || (*record)->offset >= part.position.end) break;
        const auto& stored = **record;
        if (stored.offset < part.position.next || !selection_.wants_key(stored.key)) continue;
        if (!is_begun) builder_.start(stored.offset);
        is_begun = true;
        builder_.skip_to(stored.offset);
        builder_.add(stored);
    }
    if (!is_begun) return false;
    part.made.clear();
    const auto finished = builder_.finish(batch.header.codec, part.made);
    if (!finished) part.batches.refuse("a batch cannot be made", finished.error());
    const auto header = storage::decode_batch_header(part.made);
    if (!header) part.batches.refuse("a batch cannot be made", header.error());
    part.header = *header;
    part.bytes = part.made;
    return true;
}

std::vector<StreamPosition> ArchiveSource::positions() const {
    std::vector<StreamPosition> all;
    for (const auto& part : parts_)
        all.push_back(part->position);
    return all;
}

StreamProgress ArchiveSource::progress() const {
    std::uint64_t left = 0;
    for (const auto& part : parts_)
        left += static_cast<std::uint64_t>(part->position.end - part->position.next);
    return {.done = all_ - std::min(left, all_), .all = all_};
}

}  // namespace milepost::tool
