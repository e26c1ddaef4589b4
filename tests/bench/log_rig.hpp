#pragma once

#include "storage/log/disk_log.hpp"

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace milepost::bench {

using Clock = std::chrono::steady_clock;

template <class T>
T must(Result<T> result) {
    if (!result) throw std::runtime_error{result.error().message()};
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// A reading as a vehicle's sensor sends it, filled up to `bytes`.
[[nodiscard]] std::string value_of(std::size_t bytes, int number);
[[nodiscard]] storage::RecordView record_of(const std::string& value);
[[nodiscard]] double cpu_seconds();
// The device's own counter of written bytes; of everybody on it.
[[nodiscard]] double device_bytes(const std::filesystem::path& dir);
[[nodiscard]] double median(std::vector<double> values);
// Sorts. `share`: 0.5 for the median.
[[nodiscard]] double quantile(std::vector<double>& values, double share);

// One kind of work; step() makes one group of `group` records durable.
class Subject {
public:
    Subject() = default;
    Subject(const Subject&) = delete;
    Subject& operator=(const Subject&) = delete;
    virtual ~Subject() = default;
    virtual void step(int group) = 0;

    // Nothing of it is left to do when the others have their turn.
    virtual void settle() {}
};

// What the log is compared with: write and fdatasync over a file that is written already.
class BareLoop final : public Subject {
public:
    BareLoop(const std::filesystem::path& file, std::size_t value_bytes);
    ~BareLoop() override;
    void step(int group) override;

private:
    std::string value_;
    int fd_ = -1;
    std::size_t at_ = 0;
    Buffer batch_;
};

// Group, committer and ring without a checkpointer: what was durable is let go without a segment.
class JournalAlone final : public Subject {
public:
    struct Shape {
        int partitions = 1;
        std::size_t value_bytes = 200;
    };

    JournalAlone(storage::FileSystem& files, const std::filesystem::path& folder, Shape shape);
    void step(int group) override;

private:
    void free_ring();

    storage::ReaderCache readers_;
    storage::CommitGroup group_;
    storage::LogStats stats_;
    storage::PartitionSet partitions_;
    std::unique_ptr<storage::Ring> ring_;
    std::optional<storage::Committer> committer_;
    std::vector<std::string> values_;
    std::size_t next_ = 0;
};

// The log as the gateway has it, checkpoints and all.
class WholeLog final : public Subject, public storage::GroupListener, public storage::Keeper {
public:
    struct Shape {
        int partitions = 1;
        std::size_t value_bytes = 200;
        bool checkpoints = true;  // false: only in settle()
    };

    WholeLog(storage::FileSystem& files, const std::filesystem::path& folder, Shape shape);
    ~WholeLog() override;
    void step(int group) override;
    void settle() override;

    [[nodiscard]] storage::DiskLog& log() { return *log_; }

    [[nodiscard]] const std::vector<storage::PartitionId>& partitions() const { return ids_; }

    void on_durable(std::span<const AckToken> tokens) override { acked_ += tokens.size(); }

    void on_intake(storage::IntakeState state) override { (void)state; }

    Result<void> fold(std::span<const storage::SessionDelta> deltas) override {
        (void)deltas;
        return {};
    }

    Result<void> record(const storage::Gap& gap) override {
        (void)gap;
        return {};
    }

private:
    void run_one_post();

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<std::function<void()>> posts_;
    std::unique_ptr<storage::DiskLog> log_;
    std::vector<storage::PartitionId> ids_;
    std::vector<std::string> values_;
    std::size_t next_ = 0;
    std::uint64_t sent_ = 0;
    std::uint64_t acked_ = 0;
};

// Makes segments of whole, valid, uncompressed batches of incompressible records in `folder`, as
// fast as the disk takes them, and leaves the journal to whoever opens it: `bytes` in all, over
// `partitions` of "vehicle.telemetry".
void fill_segments(
    storage::FileSystem& files,
    const std::filesystem::path& folder,
    std::uint64_t bytes,
    int partitions
);

}  // namespace milepost::bench
