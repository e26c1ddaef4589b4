#pragma once

#include "storage/log/disk_log.hpp"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace milepost::test {

// Remembers what the log gave it. Thread: any.
class RecordingKeeper final : public storage::Keeper {
public:
    Result<void> fold(std::span<const storage::SessionDelta> deltas) override {
        const std::lock_guard guard{mutex_};
        if (fails) return ErrorCode{5, boost::system::system_category()};
        for (const auto& delta : deltas) {
            sessions[delta.client_id] = std::string{as_text(delta.state)};
        }
        return {};
    }

    Result<void> record(const storage::Gap& gap) override {
        const std::lock_guard guard{mutex_};
        gaps.push_back(gap);
        return {};
    }

    std::map<std::string, std::string> sessions;
    std::vector<storage::Gap> gaps;
    bool fails = false;

private:
    std::mutex mutex_;
};

// The tokens that came back, by packet id.
class RecordingListener final : public storage::GroupListener {
public:
    void on_durable(std::span<const AckToken> tokens) override {
        for (const AckToken& token : tokens)
            acked.push_back(token.packet_id);
    }

    void on_intake(storage::IntakeState state) override { states.push_back(state); }

    void on_new_ring(const ErrorCode& why) override { new_rings.push_back(why.message()); }

    std::vector<std::uint16_t> acked;
    std::vector<std::string> new_rings;  // why
    std::vector<storage::IntakeState> states;
};

// What another thread posts to the test's own.
class PostQueue {
public:
    void post(std::function<void()> function) {
        const std::lock_guard guard{mutex_};
        queue_.push_back(std::move(function));
        wake_.notify_all();
    }

    // Waits for one and runs it.
    void run_one() {
        std::unique_lock lock{mutex_};
        wake_.wait(lock, [this] { return !queue_.empty(); });
        auto function = std::move(queue_.front());
        queue_.pop_front();
        lock.unlock();
        function();
    }

    template <class Condition>
    void run_until(Condition condition) {
        while (!condition())
            run_one();
    }

private:
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<std::function<void()>> queue_;
};

[[nodiscard]] inline AckToken token(std::uint16_t packet_id) {
    AckToken made;
    made.packet_id = packet_id;
    return made;
}

[[nodiscard]] inline storage::RecordView record(std::string_view key, std::string_view value) {
    return {
        .timestamp = Timestamp{1'795'000'000'000},
        .key = as_bytes(key),
        .value = as_bytes(value),
        .headers = {}};
}

// The values of all records in [from, durable) of a partition, read in pieces of `bytes_max`.
struct ReadBack {
    std::vector<std::string> values;
    std::vector<std::int64_t> offsets;
};

[[nodiscard]] ReadBack read_back(
    storage::Log& log,
    storage::PartitionId partition,
    storage::Offset from,
    std::size_t bytes_max = 4096
);

}  // namespace milepost::test
