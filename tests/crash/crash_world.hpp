#pragma once

#include "storage/log/disk_log.hpp"
#include "tests/support/forgetful_disk.hpp"
#include "tests/support/log_parts.hpp"
#include "tests/support/seeded_random.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace milepost::test {

struct CrashOptions {
    std::uint64_t seed = 1;
    int lives = 4;            // crashes of one world, one after the other
    int groups = 50;          // of each life, at least, if the crash does not come before
    bool disk_faults = true;  // EIO, short writes and ENOSPC besides power cuts
    // This call says "done" and keeps nothing: the run must notice.
    std::optional<DiskCall> lies;
};

// What was done, summed over many worlds.
struct CrashCounts {
    std::uint64_t worlds = 0;
    std::uint64_t crashes = 0;           // in a life
    std::uint64_t recovery_crashes = 0;  // while the log was opened again
    std::uint64_t kills = 0;             // the process only: the cache stays
    std::uint64_t groups = 0;
    std::uint64_t records = 0;
    std::uint64_t checkpoints = 0;
    std::uint64_t journal_bytes = 0;
    std::array<std::uint64_t, disk_call_count> by_call{};  // crashes armed for that kind of call

    void add(const CrashCounts& other);
};

// One log on a forgetful disk that is used, crashes, and is opened again, some times over; and a
// model of what it must hold then:
//  - what was acknowledged is there, with the bytes that were written (I1),
//  - what is there was written, at that offset, and nothing a reader saw changes any more (I4),
//  - offsets have no hole and none is used twice (I3),
//  - it opens, always, and takes in again (I5).
// Deterministic: all from the seed, in one thread.
class CrashWorld {
public:
    explicit CrashWorld(const CrashOptions& options);

    // What went wrong, or nothing.
    [[nodiscard]] std::optional<std::string> run();

    [[nodiscard]] const CrashCounts& counts() const { return counts_; }

private:
    // A partition as it must be. Records are told by a number that their bytes are made from.
    struct Model {
        std::vector<std::uint64_t> records;  // by offset: what was appended there last
        std::size_t acknowledged = 0;
        std::size_t visible = 0;  // a reader saw it: it stays
    };

    // States are numbers that rise.
    struct SessionModel {
        std::uint64_t acknowledged = 0;
        std::uint64_t sent = 0;
    };

    struct Sent {
        std::size_t partition = 0;
        std::size_t end = 0;  // acknowledged up to here with this token
        std::string client;   // of a session, else empty
        std::uint64_t state = 0;
    };

    class Listener final : public storage::GroupListener {
    public:
        explicit Listener(CrashWorld& world)
            : world_(world) {}

        void on_durable(std::span<const AckToken> tokens) override;

        void on_intake(storage::IntakeState state) override { (void)state; }

    private:
        CrashWorld& world_;
    };

    void live();
    void arm_crash();
    void arm_recovery_crash();
    void count_recovery_crash();
    void arm_fault();
    void arm_lie();
    void fill_group();
    void append_record();
    void append_session();
    bool reopen();
    bool open();
    void go_off();
    void check();
    void check_partition(std::size_t at);
    void check_sessions();
    void violated(const std::string& what);

    CrashOptions options_;
    SeededRandom random_;
    ForgetfulDisk disk_;
    RecordingKeeper keeper_;
    Listener listener_{*this};
    storage::LogConfig config_;
    storage::RecoveryReport report_;
    std::unique_ptr<storage::DiskLog> log_;
    std::vector<storage::PartitionId> partitions_;
    std::vector<Model> models_;
    std::vector<Sent> sent_;  // by token
    std::map<std::string, SessionModel> sessions_;
    std::uint64_t next_record_ = 1;
    std::array<std::uint64_t, disk_call_count> calls_of_a_life_{};
    CrashCounts counts_;
    std::optional<DiskCall> crash_kind_;
    std::string violation_;
    ErrorCode open_error_;
};

}  // namespace milepost::test
