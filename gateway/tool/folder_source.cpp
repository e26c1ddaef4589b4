#include "gateway/listener/session_state.hpp"
#include "gateway/tool/failure.hpp"
#include "gateway/tool/log_source.hpp"
#include "storage/fs/posix_file_system.hpp"
#include "storage/log/log.hpp"
#include "storage/meta/database.hpp"
#include "storage/meta/gap_ledger.hpp"
#include "storage/meta/position_store.hpp"
#include "storage/meta/rejected_store.hpp"
#include "storage/meta/schema.hpp"
#include "storage/meta/session_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

namespace milepost::tool {

namespace {

class FolderSource : public LogSource {
public:
    explicit FolderSource(const std::filesystem::path& data_dir) {
        auto opened = storage::Log::open_read_only(data_dir, files_, report_);
        if (!opened) {
            throw Failure{
                exit_nothing_there,
                fmt::format("{}: {}", data_dir.string(), opened.error().message())};
        }
        log_ = std::move(*opened);
        read_meta(data_dir / storage::meta_file_name);
        for (const auto& delta : report_.sessions) {
            Buffer& state = sessions_[delta.client_id];
            state = listener::fold_session_state(state, delta.state);
        }
    }

    Status status() override {
        Status status;
        status.log_id = log_->log_id();
        status.partitions = partitions();
        status.gaps = gaps_;
        status.rejected = rejected_;
        status.accepted_by_bridges = count_accepted_by_bridges();
        for (const auto& gap : report_.gaps) {
            const auto is_same = [&](const storage::Gap& known) {
                return known.partition == gap.partition && known.first == gap.first;
            };
            if (std::ranges::none_of(gaps_, is_same)) status.gaps.push_back(gap);
        }
        status.notes = report_.notes;
        status.ring_bytes = log_->config().ring_bytes;
        status.log_limit_bytes = log_->config().limit_bytes;
        return status;
    }

    std::vector<PartitionFacts> partitions() override {
        std::vector<PartitionFacts> all;
        for (const auto id : log_->partitions()) {
            const auto positions = log_->positions(id);
            PartitionFacts facts{
                .name = log_->name(id),
                .start = positions.start,
                .forwarded = {},
                .durable = positions.durable};
            // Without a single position nothing was ever forwarded from this log.
            if (!forwarded_.empty()) {
                const auto found = forwarded_.find(facts.name);
                const auto known = found == forwarded_.end() ? facts.start : found->second;
                facts.forwarded = std::clamp(known, facts.start, facts.durable);
            }
            all.push_back(std::move(facts));
        }
        std::ranges::sort(all, {}, &PartitionFacts::name);
        return all;
    }

    Chunk read(
        const storage::TopicPartition& partition,
        storage::Offset from,
        std::size_t bytes_max
    ) override {
        const auto id = find(partition);
        const auto positions = log_->positions(id);
        Chunk chunk{
            .next = from,
            .start = positions.start,
            .durable = positions.durable,
            .batches = {}};
        if (from < positions.start || from >= positions.durable) return chunk;
        const auto read = log_->read(id, from, bytes_max, buffer_);
        if (!read) {
            throw Failure{
                exit_run_time,
                fmt::format(
                    "{}-{} at offset {}: {}",
                    partition.topic,
                    partition.partition,
                    from.value(),
                    read.error().message()
                )};
        }
        chunk.next = read->next;
        chunk.batches = read->batches;
        return chunk;
    }

    storage::Offset find_timestamp(const storage::TopicPartition& partition, Timestamp timestamp)
        override {
        const auto found = log_->find_timestamp(find(partition), timestamp);
        if (!found) throw Failure{exit_run_time, found.error().message()};
        return *found;
    }

    bool wait(const storage::TopicPartition&, storage::Offset, std::chrono::milliseconds) override {
        return false;
    }

private:
    storage::PartitionId find(const storage::TopicPartition& partition) {
        const auto id = log_->find(partition);
        if (!id) throw Failure{exit_run_time, "there is no such partition"};
        return *id;
    }

    void read_meta(const std::filesystem::path& file) {
        std::error_code ignored;
        if (!std::filesystem::exists(file, ignored)) return;
        const auto refuse = [&](const ErrorCode& error) {
            return Failure{exit_run_time, fmt::format("{}: {}", file.string(), error.message())};
        };
        auto connection = storage::open_meta_read_only(file.parent_path());
        if (!connection) throw refuse(connection.error());
        storage::PositionStore positions{*connection};
        const auto loaded = positions.load(log_->log_id());
        if (!loaded) throw refuse(loaded.error());
        for (const auto& position : *loaded) {
            forwarded_.insert_or_assign(position.partition, position.forwarded);
        }
        storage::GapLedger ledger{*connection, std::string{log_->log_id()}};
        auto gaps = ledger.list();
        if (!gaps) throw refuse(gaps.error());
        gaps_ = std::move(*gaps);
        const auto rejected = storage::RejectedStore{*connection}.load();
        if (!rejected) throw refuse(rejected.error());
        for (const auto& [reason, count] : *rejected)
            rejected_.push_back({.name = reason, .count = count});
        const auto sessions = storage::SessionStore{*connection}.load();
        if (!sessions) throw refuse(sessions.error());
        for (const auto& [client_id, state] : *sessions)
            sessions_.insert_or_assign(client_id, state);
    }

    // No other session counts any.
    [[nodiscard]] std::uint64_t count_accepted_by_bridges() const {
        std::uint64_t sum = 0;
        for (const auto& [client_id, state] : sessions_) {
            const auto decoded = listener::decode_session_state(state);
            if (decoded) sum += decoded->accepted;
        }
        return sum;
    }

    storage::PosixFileSystem files_;
    storage::RecoveryReport report_;
    std::unique_ptr<storage::Log> log_;
    std::map<storage::TopicPartition, storage::Offset> forwarded_;
    std::vector<storage::Gap> gaps_;
    std::vector<Count> rejected_;
    std::map<std::string, Buffer> sessions_;
    Buffer buffer_;
};

}  // namespace

std::unique_ptr<LogSource> open_folder(const std::string& data_dir) {
    return std::make_unique<FolderSource>(data_dir);
}

}  // namespace milepost::tool
