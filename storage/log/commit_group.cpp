#include "storage/log/commit_group.hpp"

#include "storage/base/check.hpp"
#include "storage/format/record_batch.hpp"
#include "storage/journal/frame.hpp"
#include "storage/log/errc.hpp"

#include <utility>

namespace milepost::storage {

namespace {

// A builder keeps the memory of the largest batch it ever held. These add up over the partitions to
// at most this many groups' worth; then the one that grew gives its own back.
constexpr std::size_t warm_groups_max = 2;

std::size_t plain_bytes(const RecordView& record) {
    std::size_t bytes = record.key.size() + record.value.size();
    for (const HeaderView& header : record.headers) {
        bytes += header.name.size() + header.value.size();
    }
    return bytes;
}

}  // namespace

void CommitGroup::make_room(std::size_t count) {
    if (count > slots_.size()) slots_.resize(count);
}

Result<Offset> CommitGroup::add(
    PartitionId partition,
    Offset next,
    const RecordView& record,
    std::optional<AckToken> token,
    const SessionChange& change
) {
    MILEPOST_CHECK(partition.value() < slots_.size());
    Slot& slot = slots_[partition.value()];
    std::size_t bytes = record_bytes_max(record);
    if (bytes > limits_.record_bytes) return LogErrc::record_too_large;
    if (!slot.touched) bytes += batch_header_bytes + limits_.part_overhead_bytes;
    bytes += change_bytes(change);
    if (bytes > limits_.group_bytes - bytes_) return LogErrc::group_full;

    if (!slot.touched) {
        slot.touched = true;
        slot.batch.start(next);
        touched_.push_back(partition);
    }
    const Offset given = slot.batch.add(record);
    MILEPOST_CHECK(given == next);
    if (!change.bytes.empty()) sessions_.extend(change.client_id, change.bytes);
    if (token) tokens_.push_back(*token);
    bytes_ += bytes;
    record_bytes_ += plain_bytes(record);
    ++records_;
    return given;
}

Result<void> CommitGroup::add_change(const SessionChange& change, std::optional<AckToken> token) {
    const std::size_t bytes = change_bytes(change);
    if (bytes > limits_.record_bytes) return LogErrc::record_too_large;
    if (bytes > limits_.group_bytes - bytes_) return LogErrc::group_full;
    sessions_.extend(change.client_id, change.bytes);
    if (token) tokens_.push_back(*token);
    bytes_ += bytes;
    return {};
}

std::size_t CommitGroup::change_bytes(const SessionChange& change) const {
    if (change.bytes.empty()) return 0;
    if (sessions_.extends_last(change.client_id)) return change.bytes.size();
    return session_section_bytes(change.client_id.size(), change.bytes.size());
}

Result<void> CommitGroup::add_session(
    std::string_view client_id,
    Bytes state,
    std::optional<AckToken> token
) {
    const std::size_t bytes = limits_.part_overhead_bytes + client_id.size() + state.size();
    if (bytes > limits_.record_bytes) return LogErrc::record_too_large;
    if (bytes > limits_.group_bytes - bytes_) return LogErrc::group_full;
    sessions_.add(client_id, state);
    if (token) tokens_.push_back(*token);
    bytes_ += bytes;
    return {};
}

void CommitGroup::take(std::vector<AckToken>& tokens, SessionDeltas& sessions) {
    cool_down();
    tokens.clear();
    tokens.swap(tokens_);
    sessions.clear();
    std::swap(sessions, sessions_);
    touched_.clear();
    bytes_ = 0;
    records_ = 0;
    record_bytes_ = 0;
}

void CommitGroup::cool_down() {
    for (const PartitionId partition : touched_) {
        Slot& slot = slots_[partition.value()];
        slot.touched = false;
        if (slot.batch.plain_bytes() <= slot.warm_bytes) continue;
        warm_bytes_ += slot.batch.plain_bytes() - slot.warm_bytes;
        slot.warm_bytes = slot.batch.plain_bytes();
        if (warm_bytes_ <= warm_groups_max * limits_.group_bytes) continue;
        slot.batch = BatchBuilder{};
        warm_bytes_ -= slot.warm_bytes;
        slot.warm_bytes = 0;
    }
}

}  // namespace milepost::storage
