#pragma once

#include "sensors/reading.hpp"
#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"
#include "storage/base/units.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace milepost::sensors {

// Limits of a payload, both ways.
inline constexpr std::size_t payload_bytes_max = 16 * kib;
inline constexpr std::size_t signals_max = 64;  // known and unknown names together
inline constexpr std::size_t signal_name_bytes_max = 128;
inline constexpr std::size_t firmware_release_bytes_max = 32;
inline constexpr std::size_t trouble_codes_max = 32;
inline constexpr std::size_t trouble_code_bytes_max = 16;
inline constexpr std::uint64_t seq_max = (std::uint64_t{1} << 53U) - 1;  // exact in a JSON double
inline constexpr std::int64_t time_max_ms = 253'402'300'799'999;         // 9999-12-31T23:59:59.999Z

// Appends the payload to `out`, version 2 if the reading says which firmware took it, else version
// 1: one JSON object without white space, fields in the order v, vss, vehicle, seq, ts, (fw, boot,
// clock,) signals. On an error (a limit, no signal, a signal twice, a number that is not finite)
// `out` is as it was.
[[nodiscard]] Result<void> append_payload(const Reading& reading, std::string& out);

// Reads payloads. Holds buffers that are used again: one parser per thread, kept.
// Both versions are read. Input is hostile: every limit above holds, numbers are finite, no field
// or signal comes twice. Names of signals that this version does not know, and fields beside the
// six, are skipped, so that newer firmware can be read. Implausible values are kept: see
// is_plausible().
class PayloadParser {
public:
    PayloadParser();
    ~PayloadParser();
    PayloadParser(const PayloadParser&) = delete;
    PayloadParser& operator=(const PayloadParser&) = delete;
    PayloadParser(PayloadParser&&) noexcept;
    PayloadParser& operator=(PayloadParser&&) noexcept;

    [[nodiscard]] Result<Reading> parse(Bytes payload);

    // Only what identifies the reading; the signals are not looked at. For counting millions.
    [[nodiscard]] Result<ReadingHead> parse_head(Bytes payload);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace milepost::sensors
