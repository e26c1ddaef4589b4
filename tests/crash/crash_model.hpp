#pragma once

#include "storage/log/disk_log.hpp"
#include "tests/crash/crash_keeper.hpp"
#include "tests/support/log_parts.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace milepost::test {

// What a log must hold after a crash:
//  - what was acknowledged is there, with the bytes that were written,
//  - what is there was written, at that offset, and nothing a reader saw changes any more,
//  - offsets have no hole and none is used twice,
//  - what is not there any more was forwarded, or the gap ledger has it; what the ledger has of
//    retention is gone, and what went once does not come back,
//  - recovery reports no hole and no rot: nothing of it happened.
// A record and a session state are told by a number that their bytes are made from.
class CrashModel {
public:
    explicit CrashModel(std::size_t partitions)
        : partitions_(partitions) {}

    // The bytes of a record's value; they stay.
    [[nodiscard]] static Bytes value(std::uint64_t number);

    // The token to send along with the next append; then what became of it, if it was taken in.
    [[nodiscard]] AckToken next_token() const;
    void appended(std::size_t partition, std::uint64_t number);
    void appended_session(const std::string& client, std::uint64_t state);

    // The offset that the next append to that partition must get.
    [[nodiscard]] std::int64_t next(std::size_t partition) const {
        return static_cast<std::int64_t>(partitions_[partition].records.size());
    }

    void acknowledged(std::span<const AckToken> tokens);

    // Kafka has confirmed what is below.
    void forwarded(std::size_t partition, storage::Offset to) {
        partitions_[partition].forwarded = to;
    }

    [[nodiscard]] storage::Offset forwarded(std::size_t partition) const {
        return partitions_[partition].forwarded;
    }

    // The journal is lost, and with it how far a removal that had begun had come.
    void journal_is_lost();

    // Compares the log that was opened again, and takes what it has for what it must keep. What is
    // wrong, or nothing.
    std::optional<std::string> check(
        storage::Log& log,
        const std::vector<storage::PartitionId>& ids,
        const CrashKeeper::State& kept,
        std::size_t read_bytes
    );
    std::optional<std::string> check_sessions(const CrashKeeper::State& kept);
    static std::optional<std::string> check_report(const storage::RecoveryReport& report);

private:
    struct Partition {
        std::vector<std::uint64_t> records;  // by offset: what was appended there last
        std::size_t acknowledged = 0;
        std::size_t visible = 0;  // a reader saw it: it stays
        storage::Offset start;
        storage::Offset forwarded;
    };

    // States are numbers that rise.
    struct Session {
        std::uint64_t acknowledged = 0;
        std::uint64_t sent = 0;
    };

    struct Sent {
        std::size_t partition;
        std::size_t end;   // acknowledged up to here with this token
        Session* session;  // of a session, else none
        std::uint64_t state;
    };

    std::optional<std::string> check_partition(
        storage::Log& log,
        storage::PartitionId id,
        Partition& model,
        std::size_t read_bytes
    );
    static std::optional<std::string> check_start(
        const storage::Positions& positions,
        const storage::TopicPartition& name,
        const CrashKeeper::State& kept,
        Partition& model
    );
    std::optional<std::string> check_batches(
        Bytes batches,
        const Partition& model,
        storage::Offset& next
    );

    std::vector<Partition> partitions_;
    std::map<std::string, Session> sessions_;
    std::vector<Sent> sent_;  // by token
    Buffer batches_;
    Buffer scratch_;
};

}  // namespace milepost::test
