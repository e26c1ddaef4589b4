#pragma once

#include "sensors/ledger_entry.hpp"
#include "storage/base/result.hpp"
#include "storage/base/time.hpp"

#include <cstdint>
#include <map>
#include <string>

namespace milepost::fleet {

// The fleet's ledger on disk. Lines are collected and written at least every flush_every, and when
// the ledger is closed; nothing is synced: it must survive a crash of this program, not of the
// machine. One program at a time writes a file.
class Ledger {
public:
    static constexpr std::chrono::milliseconds flush_every{100};

    // An empty ledger that keeps nothing: for a fleet without one.
    Ledger() = default;

    // Opens or makes the file. One that exists is read through and continued: a torn last line is
    // cut off, and last_seq() knows what it used. Errors: the system's; not_a_ledger,
    // bad_ledger_line; resource_unavailable_try_again if another program writes it.
    [[nodiscard]] static Result<Ledger> open(const std::string& path);

    ~Ledger();
    Ledger(const Ledger&) = delete;
    Ledger& operator=(const Ledger&) = delete;
    Ledger(Ledger&& other) noexcept;
    Ledger& operator=(Ledger&& other) noexcept;

    // The highest sequence number the file has for that vehicle; 0 if none.
    [[nodiscard]] std::uint64_t last_seq(const std::string& vehicle) const;

    void add(const sensors::LedgerEntry& entry);

    // Writes what was collected if that is due at `now`.
    [[nodiscard]] Result<void> flush_if_due(Instant now);

    // Writes what was collected.
    [[nodiscard]] Result<void> flush();

    // When flush_if_due() next has something to do; the far future if nothing waits.
    [[nodiscard]] Instant next_flush() const;

private:
    [[nodiscard]] Result<void> read_and_cut();

    int fd_ = -1;
    std::string waiting_;
    Instant last_flush_{};
    std::map<std::string, std::uint64_t, std::less<>> last_seq_;
};

}  // namespace milepost::fleet
