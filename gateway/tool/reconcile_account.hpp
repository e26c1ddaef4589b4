#pragma once

#include "sensors/ledger_entry.hpp"
#include "storage/base/bytes.hpp"
#include "storage/base/time.hpp"
#include "storage/format/offsets.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

// The account of what vehicles took, what the log has and what the upstream has. Pure.
namespace milepost::tool {

// nullopt is printed as `-`: there is no upstream to look at.
struct Figures {
    std::uint64_t sampled = 0;
    std::uint64_t published = 0;
    std::uint64_t acknowledged = 0;
    std::uint64_t logged = 0;                 // distinct readings in the log
    std::optional<std::uint64_t> forwarded;   // distinct readings upstream
    std::uint64_t lost = 0;                   // acknowledged, and not where it must be
    std::uint64_t duplicated_by_vehicle = 0;  // more copies in the log because it was sent again
    std::uint64_t duplicated_in_log = 0;      // more copies in the log that arrived once
    std::optional<std::uint64_t> duplicated_upstream;  // more copies upstream than in the log
    std::uint64_t out_of_order = 0;  // readings that a younger one of theirs overtook
    // Records that are no reading, readings that no ledger knows, and copies with other bytes.
    std::uint64_t unexplained = 0;

    friend bool operator==(const Figures&, const Figures&) = default;
};

// A reading as it was found in a record.
struct FoundReading {
    std::string_view vehicle;
    std::uint64_t seq = 0;
    Timestamp received;  // the record's timestamp: when the gateway had the PUBLISH
    Bytes payload;
};

enum class Place : std::uint8_t { log, upstream };

// Takes ledgers, then the log's records, then the upstream's, each partition in its own order;
// partitions may interleave. About 16 bytes a reading: sequence numbers count from 1, so readings
// of a vehicle are an array; far-off numbers go into a map.
class Account {
public:
    explicit Account(bool has_upstream)
        : has_upstream_(has_upstream) {}

    void add(const sensors::LedgerEntry& entry);
    void add(Place place, const storage::TopicPartition& from, const FoundReading& reading);
    // A record that is no reading.
    void add_foreign(Place place);

    // `waits`: not everything durable is upstream yet; then only what neither has is lost.
    [[nodiscard]] Figures figures(bool waits) const;

private:
    // Bits of Entry::flags.
    static constexpr std::uint8_t sampled = 1;
    static constexpr std::uint8_t published = 2;
    static constexpr std::uint8_t acknowledged = 4;
    static constexpr std::uint8_t out_of_order = 8;

    struct Entry {
        std::uint32_t hash = 0;         // of the payload's bytes, as first found
        std::uint32_t received_ms = 0;  // of the last copy in the log, modulo 2^32
        std::uint8_t flags = 0;
        std::uint8_t in_log = 0;  // copies; stops at 255
        std::uint8_t upstream = 0;
    };

    struct Vehicle {
        std::vector<Entry> dense;  // seq 1 is at 0
        std::map<std::uint64_t, Entry> sparse;
        // The highest seq that came by, per stream of records.
        std::map<std::uint32_t, std::uint64_t> highest;
    };

    Vehicle& vehicle(std::string_view name);
    static Entry& entry(Vehicle& vehicle, std::uint64_t seq);
    std::uint32_t stream(Place place, const storage::TopicPartition& from);
    void count(const Entry& entry, bool waits, Figures& figures) const;

    struct Hash {
        using is_transparent = void;

        std::size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>{}(text);
        }
    };

    bool has_upstream_;
    std::unordered_map<std::string, Vehicle, Hash, std::equal_to<>> vehicles_;
    std::map<std::pair<Place, storage::TopicPartition>, std::uint32_t> streams_;
    std::uint64_t duplicated_by_vehicle_ = 0;
    std::uint64_t duplicated_in_log_ = 0;
    std::uint64_t unexplained_ = 0;
    std::uint64_t foreign_in_log_ = 0;
    std::uint64_t foreign_upstream_ = 0;
};

// What the figures mean for the exit code: reconcile's promise of interfaces.md.
[[nodiscard]] bool is_broken(const Figures& figures, bool exactly_once);

}  // namespace milepost::tool
