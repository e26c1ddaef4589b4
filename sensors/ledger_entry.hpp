#pragma once

#include "storage/base/result.hpp"
#include "storage/base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace milepost::sensors {

// The fleet's ledger: UTF-8 lines, appended. The first is `milepost-ledger 1`, each further one is
// unix_ms TAB vehicle TAB seq TAB state TAB reason. A run that continues a file writes no second
// header; files that are joined end to end have several, which are skipped.
inline constexpr std::string_view ledger_header = "milepost-ledger 1";
inline constexpr std::size_t ledger_line_bytes_max = 512;
inline constexpr std::size_t ledger_reason_bytes_max = 128;

// The life of a reading as its vehicle sees it.
enum class LedgerState : std::uint8_t {
    sampled,       // taken, and in the vehicle's buffer
    published,     // handed to the network for the first time
    acknowledged,  // PUBACK (QoS 2: PUBCOMP) came
    dropped,       // given up by the vehicle; the reason says why
};

[[nodiscard]] std::string_view name(LedgerState state);
[[nodiscard]] std::optional<LedgerState> find_ledger_state(std::string_view name);

// The views point into the line that was parsed, or into what the writer owns.
struct LedgerEntry {
    Timestamp time;  // wall time of the fleet's machine
    std::string_view vehicle;
    std::uint64_t seq;
    LedgerState state;
    std::string_view reason;  // empty unless dropped; without TAB or line feed

    friend bool operator==(const LedgerEntry&, const LedgerEntry&) = default;
};

// Appends one line with its line feed. Precondition: a valid vehicle id and reason.
void append_ledger_line(const LedgerEntry& entry, std::string& out);

// One line without its line feed; a missing fifth field is an empty reason.
[[nodiscard]] Result<LedgerEntry> parse_ledger_line(std::string_view line);

// Reads a ledger piece by piece, in constant memory.
class LedgerReader {
public:
    using OnEntry = std::function<void(const LedgerEntry&)>;

    // The next bytes of the file, cut anywhere; on_entry sees each whole line's entry, valid only
    // during the call. An error is final: not_a_ledger, or bad_ledger_line (see line()).
    [[nodiscard]] Result<void> feed(std::string_view bytes, const OnEntry& on_entry);

    // Lines read so far, the header among them; after an error the number of the bad one.
    [[nodiscard]] std::uint64_t line() const { return line_; }

    // Bytes after the last line feed: a torn last line, which does not count. A file of a torn
    // header only is an empty ledger.
    [[nodiscard]] std::size_t torn_bytes() const { return rest_.size(); }

private:
    [[nodiscard]] Result<void> take(std::string_view line, const OnEntry& on_entry);

    std::string rest_;
    std::uint64_t line_ = 0;
};

}  // namespace milepost::sensors
