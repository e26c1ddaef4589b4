#include "storage/log/disk_log.hpp"

#include "storage/base/check.hpp"
#include "storage/log/dead_letters.hpp"
#include "storage/log/errc.hpp"
#include "storage/log/segment_name.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace milepost::storage {

namespace {

// A hand-off to another core costs about 50 µs: worth it when the disk takes much longer. Changes
// hands only at a group boundary, and not back and forth.
constexpr std::chrono::microseconds slow_from{1000};
constexpr std::chrono::microseconds fast_below{700};

constexpr std::int32_t topic_partitions_max = 1024;

// Sessions are small, and the journal has its space: below the reserve clients still connect.
bool takes_sessions(IntakeState state) {
    return state == IntakeState::open || state == IntakeState::disk_reserve;
}

}  // namespace

DiskLog::DiskLog(LogConfig config, Wiring wiring)
    : config_(std::move(config))
    , wiring_(std::move(wiring))
    , link_(std::make_shared<Link>(Link{this}))
    , readers_(wiring_.files, &read_pacer_)
    , group_(GroupLimits{}) {}

DiskLog::~DiskLog() {
    link_->log = nullptr;
    checkpoint_thread_.reset();
    commit_thread_.reset();
}

Result<Offset> DiskLog::append(
    PartitionId partition,
    const RecordView& record,
    std::optional<AckToken> token,
    const SessionChange& change
) {
    if (!takes_records_of(partition)) return LogErrc::intake_closed;
    if (!partitions_.has(partition)) return LogErrc::unknown_partition;
    Partition& place = partitions_[partition];
    const auto given = group_.add(partition, place.appended(), record, token, change);
    if (given) place.set_appended(*given + 1);
    return given;
}

// A full log whose front record Kafka refuses drains only when that one's dead letter is written.
bool DiskLog::takes_records_of(PartitionId partition) const {
    const IntakeState state = intake_.load(std::memory_order_relaxed);
    if (state == IntakeState::open) return true;
    return state == IntakeState::disk_reserve && takes_letters_.load(std::memory_order_relaxed) &&
           partitions_.has(partition) && is_dead_letter_topic(partitions_[partition].name().topic);
}

// True if the space is down to the reserve. Half of that is left for dead letters.
bool DiskLog::look_at_space() {
    const std::uint64_t needed = retainer_->bytes_needed();
    takes_letters_ = needed <= reserve_bytes(config_) / 2;
    return needed > 0;
}

Result<void> DiskLog::append_session(
    std::string_view client_id,
    Bytes state,
    std::optional<AckToken> token
) {
    if (!takes_sessions(intake_.load(std::memory_order_relaxed))) return LogErrc::intake_closed;
    return group_.add_session(client_id, state, token);
}

Result<void> DiskLog::append_change(const SessionChange& change, std::optional<AckToken> token) {
    if (!takes_sessions(intake_.load(std::memory_order_relaxed))) return LogErrc::intake_closed;
    return group_.add_change(change, token);
}

Result<std::vector<PartitionId>> DiskLog::ensure_topic(
    std::string_view topic,
    std::int32_t partitions
) {
    if (!is_topic_name(topic) || partitions < 1 || partitions > topic_partitions_max) {
        return LogErrc::bad_topic;
    }
    const auto known = topics_.find(topic);
    const std::int32_t count = known == topics_.end() ? partitions : known->second;
    std::vector<TopicPartition> missing;
    for (std::int32_t i = 0; i < count; ++i) {
        TopicPartition name{.topic = std::string{topic}, .partition = i};
        if (!partitions_.find(name)) missing.push_back(std::move(name));
    }
    if (!missing.empty()) {
        if (is_read_only_) return LogErrc::read_only;
        if (partitions_.size() + missing.size() > partitions_max) return LogErrc::bad_topic;
        for (const TopicPartition& name : missing) {
            MILEPOST_TRY(
                wiring_.files.make_directory(config_.data_dir / partition_folder_name(name))
            );
        }
        // Before any record of it, so that its number of partitions is known again after a crash.
        MILEPOST_TRY(wiring_.files.sync_directory(config_.data_dir));
        for (const TopicPartition& name : missing) {
            partitions_.add(std::make_unique<Partition>(
                readers_,
                name,
                config_.data_dir / partition_folder_name(name)
            ));
        }
        group_.make_room(partitions_.size());
    }
    topics_[std::string{topic}] = count;
    std::vector<PartitionId> ids;
    for (std::int32_t i = 0; i < count; ++i) {
        ids.push_back(*partitions_.find({.topic = std::string{topic}, .partition = i}));
    }
    return ids;
}

void DiskLog::commit() {
    commit_asked_ = true;
    if (driving_ || in_flight_ || is_read_only_) return;
    if (renewing_) return renew_here();
    drive();
}

// The loop is there for on_durable, which may append and ask for the next commit.
void DiskLog::drive() {
    driving_ = true;
    while (commit_asked_ && !group_.empty() && !renewing_) {
        commit_asked_ = false;
        if (!group_.needs_disk()) {
            give_back_bare_tokens();
            continue;
        }
        if (!seal_group()) {
            if (ring_full_.load()) break;
            continue;  // the ring had failed: in another one, if there is one already
        }
        if (disk_is_slow()) {
            in_flight_ = true;
            commit_thread_->begin();
            break;
        }
        write_group();
        group_written();
    }
    driving_ = false;
}

bool DiskLog::seal_group() {
    const std::uint64_t bytes = group_.bytes();
    const bool sealed = committer_->seal(group_);
    if (!sealed && ring_->poisoned()) {
        commit_asked_ = true;
        begin_renewal(ring_->poison_error());
        return false;
    }
    if (sealed == ring_full_.load()) {
        ring_full_ = !sealed;
        refresh_intake();
    }
    if (sealed) {
        const std::uint64_t taken = ring_->used_bytes() + bytes;
        const std::uint64_t capacity = ring_->capacity_bytes();
        pace_.group_sealed(bytes, capacity - std::min(capacity, taken), monotonic_now());
        return true;
    }
    commit_asked_ = true;
    if (checkpoint_thread_) checkpoint_thread_->kick();
    return false;
}

bool DiskLog::disk_is_slow() {
    if (!commit_thread_) return false;
    if (config_.committer == CommitterThread::always_own) return true;
    slow_disk_ = committer_->sync_time() >= (slow_disk_ ? fast_below : slow_from);
    return slow_disk_;
}

void DiskLog::give_back_bare_tokens() {
    SessionDeltas none;
    group_.take(bare_tokens_, none);
    wiring_.listener.on_durable(bare_tokens_);
}

void DiskLog::write_group() {
    const auto written = committer_->write();
    written_ = written ? ErrorCode{} : written.error();
    if (!written) return;
    const std::lock_guard guard{mutex_};
    if (notice_) notice_();
}

void DiskLog::group_written() {
    if (written_) return begin_renewal(written_);
    give_back(committer_->tokens());
}

void DiskLog::give_back(std::span<const AckToken> tokens) {
    wiring_.listener.on_durable(tokens);
    if (checkpoint_thread_ && ring_->used_bytes() > ring_->capacity_bytes() / 2) {
        checkpoint_thread_->kick();
    }
}

void DiskLog::flight_landed() {
    if (!in_flight_) return;
    driving_ = true;
    bool flies_on = false;
    if (written_) {
        begin_renewal(written_);
    } else {
        committer_->take_tokens(landed_tokens_);
        flies_on = begin_asked_flight();
        give_back(landed_tokens_);
    }
    driving_ = false;
    in_flight_ = flies_on;
    if (!flies_on && commit_asked_) drive();
}

// The disk goes on while the acks of the last group go out.
bool DiskLog::begin_asked_flight() {
    if (!commit_asked_ || !group_.needs_disk() || !disk_is_slow()) return false;
    commit_asked_ = false;
    if (!seal_group()) return false;
    commit_thread_->begin();
    return true;
}

std::optional<Duration> DiskLog::flight() const {
    if (!in_flight_) return std::nullopt;
    return committer_->sync_time();
}

void DiskLog::wait_for_flight() {
    while (in_flight_) {
        commit_thread_->wait_until_idle();
        flight_landed();
    }
}

void DiskLog::post(void (DiskLog::*function)()) {
    if (!wiring_.post) return;
    wiring_.post([link = link_, function] {
        if (link->log != nullptr) (link->log->*function)();
    });
}

IntakeState DiskLog::work_out_intake() const {
    if (closed_ || is_read_only_) return IntakeState::closed;
    if (sync_error_) return IntakeState::sync_failed;
    if (ring_full_.load()) return IntakeState::ring_full;
    return space_low_.load() ? IntakeState::disk_reserve : IntakeState::open;
}

void DiskLog::refresh_intake() {
    const IntakeState state = work_out_intake();
    if (intake_.exchange(state) != state) wiring_.listener.on_intake(state);
}

void DiskLog::retry_after_full() {
    if (ring_full_.load() && !closed_) commit();
}

void DiskLog::after_checkpoint_step() {
    enter_noticed_gaps();
    if (renewal_->run_if_due(monotonic_now())) {
        post(&DiskLog::renewal_landed);
    } else if (ring_->poisoned()) {
        post(&DiskLog::journal_failed);
    }
    (void)retain_now(read_clock()).has_error();  // tried again at the next step
    if (ring_full_.load()) post(&DiskLog::retry_after_full);
}

void DiskLog::enter_noticed_gaps() {
    std::vector<Gap> gaps;
    {
        const std::lock_guard guard{mutex_};
        gaps = noticed_gaps_;
    }
    for (const Gap& gap : gaps) {
        if (!wiring_.keeper.record(gap)) return;  // at the next step again
    }
    const std::lock_guard guard{mutex_};
    noticed_gaps_.erase(
        noticed_gaps_.begin(),
        noticed_gaps_.begin() + static_cast<std::ptrdiff_t>(gaps.size())
    );
}

Result<ReadResult> DiskLog::read(
    PartitionId partition,
    Offset from,
    std::size_t bytes_max,
    Buffer& buffer
) {
    if (!partitions_.has(partition)) return LogErrc::unknown_partition;
    Partition& place = partitions_[partition];
    bool damaged = false;
    auto got = place.read(from, bytes_max, buffer, damaged);
    if (got && damaged && got->first > from && !is_read_only_) {
        const std::lock_guard guard{mutex_};
        noticed_gaps_.push_back(
            {.partition = place.name(),
             .first = from,
             .end = got->first,
             .reason = "rot",
             .noticed = wall_now()}
        );
    }
    return got;
}

Result<Offset> DiskLog::find_timestamp(PartitionId partition, Timestamp timestamp) {
    if (!partitions_.has(partition)) return LogErrc::unknown_partition;
    return partitions_[partition].find_timestamp(timestamp);
}

void DiskLog::set_durable_notice(std::function<void()> notice) {
    const std::lock_guard guard{mutex_};
    notice_ = std::move(notice);
}

std::string DiskLog::intake_reason() const {
    switch (intake_.load()) {
        case IntakeState::open: return {};
        case IntakeState::closed:
            return is_read_only_ ? "the disk is read-only" : "the log is closed";
        case IntakeState::disk_reserve:
            return "the disk, or the log's limit, is down to the reserve";
        case IntakeState::ring_full: {
            const ErrorCode error = checkpoint_thread_ ? checkpoint_thread_->last_error()
                                                       : ErrorCode{};
            return error ? "the journal is full, and checkpoints fail: " + error.message()
                         : "the journal is full until a checkpoint frees it";
        }
        case IntakeState::sync_failed: break;
    }
    const std::lock_guard guard{mutex_};
    return "the journal could not be made durable: " + sync_reason_;
}

Result<void> DiskLog::checkpoint_now() {
    if (is_read_only_) return LogErrc::read_only;
    auto done = checkpointer_->run();
    enter_noticed_gaps();
    return done;
}

Result<void> DiskLog::retain_now(const ClockReading& now) {
    if (is_read_only_) return LogErrc::read_only;
    const auto done = retainer_->run(now);
    const bool low = look_at_space();
    if (space_low_.exchange(low) != low) post(&DiskLog::refresh_intake);
    return done;
}

Result<void> DiskLog::close() {
    if (closed_) return {};
    closed_ = true;
    if (is_read_only_) {
        lock_.reset();
        return {};
    }
    refresh_intake();
    wait_for_flight();
    commit();
    wait_for_flight();
    checkpoint_thread_.reset();
    end_renewal();
    Result<void> checkpointed = checkpoint_now();
    if (ring_full_.load()) {
        commit();
        wait_for_flight();
        checkpointed = checkpoint_now();
    }
    wiring_.keeper.on_checkpoint();  // also where there was nothing to write
    link_->log = nullptr;
    commit_thread_.reset();
    lock_.reset();
    if (sync_error_) return sync_error_;
    return checkpointed;
}

}  // namespace milepost::storage
