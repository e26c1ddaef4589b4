#pragma once

#include "storage/log/disk_log.hpp"
#include "tests/crash/crash_model.hpp"
#include "tests/support/forgetful_disk.hpp"
#include "tests/support/log_parts.hpp"
#include "tests/support/seeded_random.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace milepost::test {

// When a call is made: while the log is opened, while its topic is made, or later.
enum class Moment : std::uint8_t { recovery, topics, life };

struct CrashOptions {
    std::uint64_t seed = 1;
    int lives = 5;            // crashes of one world, one after the other
    int groups = 50;          // of a long life, at least, before it may crash
    bool disk_faults = true;  // EIO, short writes and ENOSPC besides power cuts
    bool trace = false;       // prints what happens
    // Calls that say "done" and keep nothing: the run must notice.
    std::function<bool(const DiskMoment&, Moment)> lies;
};

// What was done, summed over many worlds.
struct CrashCounts {
    std::uint64_t worlds = 0;
    std::uint64_t crashes = 0;  // in a life, or at its end
    // Of those, with at least `groups` groups over 4 partitions, as many bytes of frames as the
    // ring has (so that it came round), a checkpoint and a roll since the log was last opened …
    std::uint64_t qualified = 0;
    std::uint64_t carried = 0;           // … or only since the world began
    std::uint64_t recovery_crashes = 0;  // while the log was opened again after one of `crashes`
    std::uint64_t in_retention = 0;      // of `crashes`, while segments were being removed
    std::uint64_t in_renewal = 0;        // of `crashes`, while a ring was being replaced
    std::uint64_t kills = 0;             // of `crashes`, of the process only: the cache stays
    std::uint64_t groups = 0;
    std::uint64_t records = 0;
    std::uint64_t checkpoints = 0;
    std::uint64_t journal_bytes = 0;
    std::uint64_t renewals = 0;  // rings that took the place of one that had failed
    std::uint64_t removals = 0;  // of segments, by retention
    std::uint64_t losses = 0;    // of these: entered in the gap ledger
    std::array<std::uint64_t, disk_call_count> by_call{};  // of all crashes: the call it came at

    void add(const CrashCounts& other);
};

// One log on a forgetful disk that is used, crashes, and is opened again, some times over; after
// each opening it is compared with the model. A third of the logs keep no more than some KiB of
// what was forwarded, and a third are on a disk that is too small, and drop what is oldest. In many
// lives a write of the journal fails, and its ring is replaced. It opens, always, and takes in
// again. Most lives are long: they crash only when the journal has come round, a checkpoint was
// made and a segment ended. The others crash anywhere. Deterministic but for the journal's keys:
// all from the seed, in one thread.
class CrashWorld {
public:
    explicit CrashWorld(const CrashOptions& options);

    // What went wrong, or nothing.
    [[nodiscard]] std::optional<std::string> run();

    [[nodiscard]] const CrashCounts& counts() const { return counts_; }

private:
    class Listener final : public storage::GroupListener {
    public:
        explicit Listener(CrashWorld& world)
            : world_(world) {}

        void on_durable(std::span<const AckToken> tokens) override {
            world_.model_.acknowledged(tokens);
        }

        void on_intake(storage::IntakeState state) override { (void)state; }

    private:
        CrashWorld& world_;
    };

    void live();
    void one_group();
    void forward();
    void retain();
    void fail_the_ring();
    void count_life();
    [[nodiscard]] bool is_qualified();
    [[nodiscard]] std::array<std::string, 4> last_segments() const;
    void arm_crash(bool is_early);
    void arm_recovery_crash();
    void arm_fault();
    void append_record();
    void append_session();
    bool reopen();
    bool open();
    bool recover_and_make();
    void go_off();
    bool lose_the_journal();
    void check();
    void violated(const std::string& what);

    CrashOptions options_;
    SeededRandom random_;
    ForgetfulDisk disk_;
    CrashKeeper keeper_{disk_};
    bool retains_ = false;
    std::uint64_t capacity_bytes_ = 0;  // of the disk; 0: enough
    Listener listener_{*this};
    storage::LogConfig config_;
    storage::RecoveryReport report_;
    std::unique_ptr<storage::DiskLog> log_;
    std::vector<storage::PartitionId> partitions_;
    CrashModel model_{4};
    std::uint64_t next_number_ = 1;
    Moment moment_ = Moment::recovery;
    std::array<std::string, 4> segments_before_{};  // the last ones, when the life began
    // The next time retention runs, or a ring is replaced, the power goes.
    bool crash_in_retention_ = false;
    bool crash_in_renewal_ = false;
    bool in_retention_ = false;
    bool in_renewal_ = false;
    bool life_qualified_ = false;
    bool world_qualified_ = false;
    CrashCounts counts_;
    std::string violation_;
    ErrorCode open_error_;
};

}  // namespace milepost::test
