#include "storage/log/checkpointer.hpp"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <thread>

#include <sys/resource.h>

namespace milepost::storage {

namespace {

// Partitions whose active segment (three files) stays open between checkpoints; those of the others
// are opened again each time, so that many partitions take no more than a quarter of what the
// process may have open.
constexpr std::size_t files_per_writer = 3;
constexpr std::size_t open_writers_min = 64;
constexpr std::size_t open_writers_max = 1024;

// Segments that are synced at once. On a slow disk a commit would wait behind all of them.
constexpr std::size_t syncs_at_once_max = 8;
constexpr std::size_t syncs_at_once_slow = 2;
constexpr std::chrono::milliseconds slow_sync{1};

std::size_t writers_that_stay_open() {
    ::rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return open_writers_min;
    const std::size_t files = std::min<rlim_t>(limit.rlim_cur, open_writers_max * 64);
    return std::clamp(files / 4 / files_per_writer, open_writers_min, open_writers_max);
}

std::int64_t monotonic_ms() {
    const auto since_epoch = monotonic_now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count();
}

}  // namespace

std::vector<CheckpointPartition> describe(const PartitionSet& partitions) {
    std::vector<CheckpointPartition> described;
    for (const PartitionId id : partitions.ids()) {
        const Partition& partition = partitions[id];
        const auto active = partition.last_segment();
        described.push_back(
            {.name = partition.name(),
             .start = partition.positions().start,
             .next = partition.segments_end(),
             .active_base = active ? active->base : partition.segments_end(),
             .active_bytes = active ? active->bytes : 0}
        );
    }
    return described;
}

Result<void> Checkpointer::run() {
    const std::lock_guard guard{running_};
    return run_locked();
}

Result<void> Checkpointer::run_locked() {
    parts_.stats.checkpoint_since_ms.set(monotonic_ms());
    auto done = bring_level();
    parts_.stats.checkpoint_since_ms.set(0);
    return done;
}

Result<void> Checkpointer::bring_level() {
    // First what is reached, then the tails: they hold at least what is below it.
    const std::uint64_t next_sequence = parts_.committer.reached(sessions_);
    if (next_sequence == saved_sequence_.load()) return {};
    parts_.pace.checkpoint_begins(parts_.ring->used_bytes(), monotonic_now());
    const auto freed = free_ring(next_sequence);
    parts_.pace.checkpoint_ended(freed.has_value(), monotonic_now());
    return freed;
}

Result<void> Checkpointer::free_ring(std::uint64_t next_sequence) {
    MILEPOST_TRY(write_segments());
    MILEPOST_TRY(save_sessions());
    MILEPOST_TRY(save_slot(next_sequence));
    saved_sequence_ = next_sequence;
    parts_.ring->free_before(next_sequence);
    parts_.stats.ring_used_bytes.set(static_cast<std::int64_t>(parts_.ring->used_bytes()));
    parts_.stats.checkpoints.add();
    parts_.keeper.on_checkpoint();
    return {};
}

Result<void> Checkpointer::save_sessions() {
    if (sessions_.empty()) return {};
    MILEPOST_TRY(parts_.keeper.fold(sessions_.list()));
    sessions_ = SessionDeltas{};
    return {};
}

Result<std::unique_ptr<Ring>> Checkpointer::make_next_ring(
    const std::filesystem::path& journal_folder
) {
    const std::lock_guard guard{running_};
    const std::uint64_t next_sequence = parts_.committer.reached(sessions_);
    MILEPOST_TRY(write_segments());
    for (const PartitionId id : parts_.partitions.ids()) {
        MILEPOST_CHECK(parts_.partitions[id].tail().empty());
    }
    MILEPOST_TRY(save_sessions());
    RingHeader header = parts_.ring->header();
    header.ring_key = make_ring_key();
    ++header.generation;
    Checkpoint first = describe_now();
    first.next_sequence = next_sequence;
    return Ring::create(parts_.files, journal_folder, header, std::move(first));
}

void Checkpointer::move_to(Ring& ring) {
    const std::lock_guard guard{running_};
    parts_.ring = &ring;
    saved_sequence_ = ring.next_sequence();
    parts_.stats.ring_used_bytes.set(static_cast<std::int64_t>(ring.used_bytes()));
}

Result<void> Checkpointer::save_starts() {
    const std::lock_guard guard{running_};
    if (parts_.ring->slot_first_needed() == 0) MILEPOST_TRY(run_locked());  // no slot could be read
    for (std::size_t area = 0; area < slot_area_count; ++area)
        MILEPOST_TRY(save_slot(parts_.ring->slot_first_needed()));
    return {};
}

Result<SegmentEnd> Checkpointer::end_segment(PartitionId id, Offset end) {
    const std::lock_guard guard{running_};
    add_writers();
    return writers_[id.value()]->end_segment(end);
}

Result<void> Checkpointer::prewrite_step() {
    const std::lock_guard guard{running_};
    return parts_.ring->prewrite_more();
}

void Checkpointer::release_idle_memory() {
    const std::lock_guard guard{running_};
    parts_.ring->release_idle_memory();
}

// A partition whose file fails does not keep the others from their place.
Result<void> Checkpointer::write_segments() {
    add_writers();
    Result<void> first_error;
    const auto note = [&](Result<void> result) {
        if (!result && first_error.has_value()) first_error = result;
    };
    for (std::size_t i = 0; i < writers_.size(); ++i) {
        const PartitionId id{static_cast<std::uint32_t>(i)};
        note(writers_[i]->write(merger_, codec_of(parts_.partitions[id].name())));
    }
    note(sync_segments());
    const std::size_t stay_open = writers_that_stay_open();
    for (std::size_t i = 0; i < writers_.size(); ++i) {
        if (i >= stay_open) writers_[i]->close_files();
        parts_.stats.segment_bytes.add(writers_[i]->take_bytes_written());
    }
    return first_error;
}

// One sync a file. Each is a few short waits for the disk, one after the other, and several at once
// share them: 256 files one by one would keep the ring waiting for longer than their bytes take.
Result<void> Checkpointer::sync_segments() {
    std::vector<PartitionWriter*> waiting;
    for (const auto& writer : writers_) {
        if (writer->needs_sync()) waiting.push_back(writer.get());
    }
    std::vector<Result<void>> results(waiting.size());
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
        for (std::size_t i = next++; i < waiting.size(); i = next++)
            results[i] = waiting[i]->sync();
    };
    {
        std::vector<std::jthread> helpers;
        try {
            while (helpers.size() + 1 < std::min(syncs_at_once(), waiting.size()))
                helpers.emplace_back(work);
        } catch (const std::system_error&) {
            // No more threads to be had: then with fewer.
        }
        work();
    }
    for (const Result<void>& result : results)
        MILEPOST_TRY(result);
    return {};
}

std::size_t Checkpointer::syncs_at_once() const {
    if (!parts_.config.background) return 1;
    const bool is_slow = parts_.committer.sync_time() > slow_sync;
    return is_slow && !in_a_hurry() ? syncs_at_once_slow : syncs_at_once_max;
}

void Checkpointer::add_writers() {
    const std::size_t count = parts_.partitions.size();
    while (writers_.size() < count) {
        const PartitionId id{static_cast<std::uint32_t>(writers_.size())};
        writers_.push_back(std::make_unique<PartitionWriter>(
            parts_.files,
            parts_.partitions[id],
            parts_.config.segment_bytes
        ));
    }
}

Result<void> Checkpointer::save_slot(std::uint64_t next_sequence) {
    Checkpoint checkpoint = describe_now();
    checkpoint.first_needed_sequence = next_sequence;
    return parts_.ring->write_slot(std::move(checkpoint));
}

Checkpoint Checkpointer::describe_now() const {
    Checkpoint checkpoint;
    const ClockReading clock = clock_.value_or(read_clock());
    checkpoint.wall = clock.wall;
    checkpoint.monotonic_ms = clock.monotonic_ms;
    checkpoint.partitions = describe(parts_.partitions);
    return checkpoint;
}

bool Checkpointer::in_a_hurry() const {
    return parts_.ring->used_bytes() > parts_.ring->capacity_bytes() / 4 * 3;
}

Codec Checkpointer::codec_of(const TopicPartition& name) const {
    const auto chosen = parts_.config.topic_codecs.find(name.topic);
    const Codec codec = chosen == parts_.config.topic_codecs.end() ? parts_.config.codec
                                                                   : chosen->second;
    return in_a_hurry() && codec == Codec::zstd ? Codec::lz4 : codec;
}

}  // namespace milepost::storage
