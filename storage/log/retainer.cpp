#include "storage/log/retainer.hpp"

#include "storage/format/record_batch.hpp"
#include "storage/log/segment_indexes.hpp"
#include "storage/log/segment_name.hpp"
#include "storage/log/segment_writer.hpp"

#include <algorithm>
#include <string>

namespace milepost::storage {

namespace {

constexpr Timestamp never_plausible{0};

std::chrono::milliseconds longest_age(const LogConfig& config) {
    std::chrono::milliseconds longest{0};
    for (const auto& [topic, limits] : config.retention)
        longest = std::max(longest, limits.age);
    return longest;
}

}  // namespace

Retainer::Retainer(Parts parts, const ClockReading& reference)
    : parts_(parts)
    , clock_(reference, longest_age(parts.config)) {}

void Retainer::finish(std::span<const Gap> recorded, std::string_view log_id) {
    const std::lock_guard guard{running_};
    for (const Gap& gap : recorded) {
        if (gap.log_id != log_id) continue;
        const auto id = parts_.partitions.find(gap.partition);
        if (id && is_of_retention(gap.reason)) drop(parts_.partitions[*id], gap.end);
    }
}

Result<void> Retainer::run(const ClockReading& now) {
    const std::lock_guard guard{running_};
    clock_.update(now);
    parts_.checkpointer.set_clock(clock_.reference());
    const Needs needs = work_out_needs();
    Result<void> result;
    if (needs.most() > 0 || !parts_.config.retention.empty()) {
        for (const Removal& removal : plan_retention(look(needs, now.wall))) {
            result = let_go(removal);
            if (!result) break;
        }
    }
    const Result<void> removed = remove_old_files();
    return result ? removed : result;
}

std::uint64_t Retainer::bytes_needed() {
    const std::lock_guard guard{running_};
    return work_out_needs().most();
}

Retainer::Needs Retainer::work_out_needs() {
    std::uint64_t log_bytes = parts_.config.ring_bytes;
    for (const PartitionId id : parts_.partitions.ids()) {
        for (const SegmentFacts& segment : parts_.partitions[id].segments())
            log_bytes += segment.bytes;
    }
    for (const OldFile& old : old_files_)
        log_bytes += old.segment.bytes;
    parts_.stats.log_bytes.set(static_cast<std::int64_t>(log_bytes));

    const std::uint64_t reserve = reserve_bytes(parts_.config);
    const std::uint64_t limit = parts_.config.limit_bytes;
    const std::uint64_t over_limit = log_bytes + reserve > limit ? log_bytes + reserve - limit : 0;
    const auto space = parts_.files.space(parts_.config.data_dir);
    Needs needs{.over_limit = over_limit};
    if (space && space->available_bytes < reserve) needs.of_disk = reserve - space->available_bytes;
    return needs;
}

RetentionInput Retainer::look(const Needs& needs, Timestamp now) {
    RetentionInput input{
        .partitions = {},
        .bytes_needed = needs.most(),
        .full = parts_.config.full,
        .now = now};
    for (const PartitionId id : parts_.partitions.ids()) {
        Partition& partition = parts_.partitions[id];
        RetainedPartition seen;
        seen.limits = limits_of(partition.name());
        seen.age_counts = clock_.trusts(seen.limits.age);
        const bool forwards = parts_.config.forwards_topic(partition.name().topic);
        seen.released = forwards ? partition.positions().forwarded : partition.segments_end();
        // What others have filled the disk with is no reason to lose what nobody else has.
        seen.gives_room = forwards || needs.over_limit > 0 ||
                          parts_.config.full == FullPolicy::drop_oldest;
        const bool wants_times = needs.most() > 0 || seen.limits.age.count() > 0;
        for (const SegmentFacts& segment : partition.segments()) {
            Timestamp newest = segment.max_timestamp;
            if (newest == timestamp_none && wants_times) {
                newest = find_max_timestamp(partition, segment);
                partition.note_max_timestamp(segment, newest);
            }
            seen.segments.push_back(
                {.base = segment.base,
                 .next = segment.next,
                 .bytes = segment.bytes,
                 .max_timestamp = newest}
            );
        }
        input.partitions.push_back(std::move(seen));
    }
    return input;
}

TopicRetention Retainer::limits_of(const TopicPartition& name) const {
    const auto found = parts_.config.retention.find(name.topic);
    return found == parts_.config.retention.end() ? TopicRetention{} : found->second;
}

// From the end of its indexes, or from its batches where those are gone.
Timestamp Retainer::find_max_timestamp(const Partition& partition, const SegmentFacts& segment) {
    const auto& folder = partition.folder();
    auto file =
        parts_.files.open(segment_path(folder, segment.base, SegmentFile::log), OpenMode::read);
    if (!file) return never_plausible;
    const auto indexes = recover_indexes(parts_.files, folder, segment.base, **file, segment.bytes);
    return indexes ? indexes->indexes.state.max_timestamp : never_plausible;
}

Result<void> Retainer::let_go(const Removal& removal) {
    const PartitionId id{static_cast<std::uint32_t>(removal.partition)};
    Partition& partition = parts_.partitions[id];
    if (removal.is_active) {
        const auto ended = parts_.checkpointer.end_segment(id, removal.segment.next);
        if (!ended) return ended.error();
        if (*ended == SegmentEnd::has_grown) return {};  // the next run sees it
    }
    MILEPOST_TRY(record_loss(partition, removal));
    drop(partition, removal.segment.next);
    return {};
}

// What nobody has confirmed.
Result<void> Retainer::record_loss(Partition& partition, const Removal& removal) {
    const Offset first = std::max(removal.segment.base, partition.positions().forwarded);
    if (first >= removal.segment.next) return {};
    Gap gap{
        .partition = partition.name(),
        .first = first,
        .end = removal.segment.next,
        .reason = std::string{name_of(removal.reason)},
        .noticed = wall_now(),
        .first_time = removal.segment.max_timestamp,
        .last_time = removal.segment.max_timestamp};
    Buffer buffer;
    bool damaged = false;
    if (const auto got = partition.read(first, 1, buffer, damaged); got && !got->batches.empty()) {
        const auto header = decode_batch_header(got->batches);
        if (header) gap.first_time = header->base_timestamp;
    }
    return parts_.keeper.record(gap);
}

void Retainer::drop(Partition& partition, Offset end) {
    for (const SegmentFacts& segment : partition.drop_segments(end))
        old_files_.push_back({.folder = partition.folder(), .segment = segment});
}

// The `.log` goes last: as long as it is there recovery knows that the rest has to go. A file that
// does not go is tried again at the next run. One after the other, durably: after a power cut some
// of several removals may have happened and others not, in any order, and were the journal lost,
// too, nothing would tell that from a hole.
Result<void> Retainer::remove_old_files() {
    if (!old_files_.empty()) MILEPOST_TRY(parts_.checkpointer.save_starts());
    MILEPOST_TRY(sync_folders());
    while (!old_files_.empty()) {
        const OldFile& old = old_files_.front();
        parts_.readers.forget(old.folder, old.segment.base);
        unsynced_folders_.insert(old.folder);
        MILEPOST_TRY(remove_segment(parts_.files, old.folder, old.segment.base));
        old_files_.pop_front();
        MILEPOST_TRY(sync_folders());
    }
    return {};
}

// Were the journal lost later, an old name that is there again would be taken for the start.
Result<void> Retainer::sync_folders() {
    while (!unsynced_folders_.empty()) {
        MILEPOST_TRY(parts_.files.sync_directory(*unsynced_folders_.begin()));
        unsynced_folders_.erase(unsynced_folders_.begin());
    }
    return {};
}

}  // namespace milepost::storage
