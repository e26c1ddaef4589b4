#include "storage/log/committer.hpp"

#include "storage/base/check.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace milepost::storage {

bool Committer::seal(CommitGroup& group) {
    MILEPOST_CHECK(!frame_ && group.needs_disk());
    frame_ = ring_->reserve(payload_bytes(group));
    if (!frame_) return false;

    parts_.clear();
    for (const PartitionId id : group.touched()) {
        const TopicPartition& name = partitions_[id].name();
        BatchBuilder& builder = group.batch(id);
        const Bytes batch = builder.finish_plain();
        const MutableBytes place =
            frame_->writer.add_records(name.topic, name.partition, batch.size());
        std::copy(batch.begin(), batch.end(), place.begin());
        parts_.push_back(
            {.partition = id,
             .entry =
                 {.base = builder.base_offset(),
                  .next = builder.next_offset(),
                  .batch = place,
                  .max_timestamp = builder.max_timestamp()}}
        );
    }
    for (std::size_t i = 0; i < group.sessions().size(); ++i) {
        const SessionDeltas::View delta = group.sessions()[i];
        frame_->writer.add_session(delta.client_id, delta.state);
    }
    records_ = group.records();
    record_bytes_ = group.record_bytes();
    group.take(tokens_, sessions_);
    return true;
}

Result<void> Committer::write() {
    MILEPOST_CHECK(frame_.has_value());
    const Instant begin = monotonic_now();
    const auto since_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(begin.time_since_epoch()).count();
    stats_.commit_pending_since_ms.set(since_ms);
    const auto committed = ring_->commit(*frame_);
    stats_.commit_pending_since_ms.set(0);
    if (!committed) return committed.error();
    note_time(monotonic_now() - begin);
    publish();
    stats_.groups.add();
    stats_.records.add(records_);
    stats_.record_bytes.add(record_bytes_);
    stats_.records_per_group.record(records_);
    stats_.journal_bytes.add(frame_bytes(frame_->writer.payload_bytes()));
    stats_.ring_used_bytes.set(static_cast<std::int64_t>(ring_->used_bytes()));
    frame_.reset();
    return {};
}

void Committer::move_to(Ring& ring) {
    MILEPOST_CHECK(ring.next_sequence() == durable_sequence());
    if (frame_) {
        const Bytes old = frame_->writer.payload();
        auto frame = ring.reserve(old.size());
        MILEPOST_CHECK(frame.has_value());  // it fits an empty ring
        frame->writer.take_sections(frame_->writer);
        for (Part& part : parts_) {
            const auto at = static_cast<std::size_t>(part.entry.batch.data() - old.data());
            part.entry.batch = frame->writer.payload().subspan(at, part.entry.batch.size());
        }
        frame_ = frame;
    }
    ring_ = &ring;
}

std::uint64_t Committer::reached(SessionDeltas& sessions) {
    const std::lock_guard guard{mutex_};
    sessions.take(durable_sessions_);
    return durable_sequence_;
}

std::size_t Committer::payload_bytes(CommitGroup& group) const {
    std::size_t bytes = 0;
    for (const PartitionId id : group.touched()) {
        bytes += records_section_bytes(
            partitions_[id].name().topic.size(),
            group.batch(id).plain_bytes()
        );
    }
    for (std::size_t i = 0; i < group.sessions().size(); ++i) {
        const SessionDeltas::View delta = group.sessions()[i];
        bytes += session_section_bytes(delta.client_id.size(), delta.state.size());
    }
    return bytes;
}

void Committer::note_time(Duration took) {
    stats_.sync_micros.record(static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(took).count()
    ));
    sync_time_.note(took);
}

// The checkpointer takes durable_sequence_ first and the tails then: everything below it is there.
void Committer::publish() {
    for (const Part& part : parts_) {
        partitions_[part.partition].publish(part.entry);
    }
    const std::lock_guard guard{mutex_};
    durable_sessions_.take(sessions_);
    durable_sequence_ = frame_->place.sequence + 1;
}

}  // namespace milepost::storage
