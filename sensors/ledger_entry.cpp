#include "sensors/ledger_entry.hpp"

#include "sensors/errc.hpp"
#include "sensors/payload.hpp"
#include "sensors/vehicle_id.hpp"
#include "storage/base/check.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

namespace milepost::sensors {

namespace {

constexpr std::array<std::string_view, 4> state_names{
    "sampled",
    "published",
    "acknowledged",
    "dropped",
};

bool is_reason(std::string_view text) {
    return text.size() <= ledger_reason_bytes_max &&
           std::none_of(text.begin(), text.end(), [](char c) {
               return static_cast<unsigned char>(c) < 0x20;
           });
}

template <class T>
std::optional<T> whole_number(std::string_view text) {
    T value{};
    const char* const end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || stopped != end) return std::nullopt;
    return value;
}

void append_number(std::string& out, std::int64_t value) {
    std::array<char, std::numeric_limits<std::int64_t>::digits10 + 3> digits{};
    const auto written = std::to_chars(digits.data(), digits.data() + digits.size(), value);
    out.append(digits.data(), written.ptr);
}

// The text up to the next TAB, which is taken away; all of it if there is none.
std::string_view take_field(std::string_view& rest) {
    const std::size_t tab = rest.find('\t');
    const std::string_view field = rest.substr(0, tab);
    rest = tab == std::string_view::npos ? std::string_view{} : rest.substr(tab + 1);
    return field;
}

}  // namespace

std::string_view name(LedgerState state) {
    return state_names[static_cast<std::size_t>(state)];
}

std::optional<LedgerState> find_ledger_state(std::string_view name) {
    const auto* const found = std::find(state_names.begin(), state_names.end(), name);
    if (found == state_names.end()) return std::nullopt;
    return static_cast<LedgerState>(found - state_names.begin());
}

void append_ledger_line(const LedgerEntry& entry, std::string& out) {
    MILEPOST_CHECK(is_vehicle_id(entry.vehicle));
    MILEPOST_CHECK(is_reason(entry.reason));
    append_number(out, entry.time.value());
    out += '\t';
    out += entry.vehicle;
    out += '\t';
    append_number(out, static_cast<std::int64_t>(entry.seq));
    out += '\t';
    out += name(entry.state);
    out += '\t';
    out += entry.reason;
    out += '\n';
}

Result<LedgerEntry> parse_ledger_line(std::string_view line) {
    if (line.size() > ledger_line_bytes_max) return Errc::bad_ledger_line;
    std::string_view rest = line;
    const auto time = whole_number<std::int64_t>(take_field(rest));
    const std::string_view vehicle = take_field(rest);
    const auto seq = whole_number<std::uint64_t>(take_field(rest));
    const auto state = find_ledger_state(take_field(rest));
    const std::string_view reason = rest;
    if (!time || !seq || !state || *time < 0 || *seq == 0 || *seq > seq_max ||
        !is_vehicle_id(vehicle) || !is_reason(reason)) {
        return Errc::bad_ledger_line;
    }
    return LedgerEntry{
        .time = Timestamp{*time},
        .vehicle = vehicle,
        .seq = *seq,
        .state = *state,
        .reason = reason,
    };
}

Result<void> LedgerReader::feed(std::string_view bytes, const OnEntry& on_entry) {
    std::size_t end = bytes.find('\n');
    if (!rest_.empty() && end != std::string_view::npos) {
        rest_ += bytes.substr(0, end);
        bytes.remove_prefix(end + 1);
        const std::string line = std::exchange(rest_, {});
        MILEPOST_TRY(take(line, on_entry));
        end = bytes.find('\n');
    }
    while (end != std::string_view::npos) {
        MILEPOST_TRY(take(bytes.substr(0, end), on_entry));
        bytes.remove_prefix(end + 1);
        end = bytes.find('\n');
    }
    rest_ += bytes;
    if (rest_.size() > ledger_line_bytes_max) {
        ++line_;
        return line_ == 1 ? Errc::not_a_ledger : Errc::bad_ledger_line;
    }
    return {};
}

Result<void> LedgerReader::take(std::string_view line, const OnEntry& on_entry) {
    ++line_;
    if (line == ledger_header) return {};
    if (line_ == 1) return Errc::not_a_ledger;
    const auto entry = parse_ledger_line(line);
    if (!entry) return entry.error();
    on_entry(*entry);
    return {};
}

}  // namespace milepost::sensors
