#include "sensors/errc.hpp"
#include "sensors/payload.hpp"
#include "sensors/payload_words.hpp"
#include "storage/base/check.hpp"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <vector>

// Reading -> bytes.
namespace milepost::sensors {

namespace {

Result<void> check(const FirmwareInfo& firmware) {
    const bool is_fine = is_release(firmware.release) && firmware.boot > 0 &&
                         firmware.boot <= seq_max;
    return is_fine ? Result<void>{} : Errc::bad_firmware;
}

Result<void> check(const Reading& reading) {
    if (reading.head.seq == 0 || reading.head.seq > seq_max) return Errc::seq_out_of_range;
    const std::int64_t time = reading.head.time.value();
    if (time < 0 || time > time_max_ms) return Errc::time_out_of_range;
    if (reading.values.empty() && !reading.trouble_codes && !reading.ignition) {
        return Errc::no_signals;
    }
    if (reading.firmware) MILEPOST_TRY(check(*reading.firmware));
    std::uint32_t seen = bit(Signal::trouble_codes) | bit(Signal::ignition);
    for (const SignalValue& value : reading.values) {
        if (!std::isfinite(value.value)) return Errc::number_not_finite;
        if ((seen & bit(value.signal)) != 0) return Errc::duplicate_signal;
        seen |= bit(value.signal);
    }
    if (!reading.trouble_codes) return {};
    if (reading.trouble_codes->size() > trouble_codes_max) return Errc::too_many_trouble_codes;
    for (const std::string& code : *reading.trouble_codes) {
        if (!is_trouble_code(code)) return Errc::bad_trouble_code;
    }
    return {};
}

void append_trouble_codes(const std::vector<std::string>& codes, std::string& out) {
    fmt::format_to(
        std::back_inserter(out),
        FMT_COMPILE("\"{}\":["),
        info(Signal::trouble_codes).name
    );
    for (const std::string& code : codes) {
        if (&code != &codes.front()) out += ',';
        out += '"';
        out += code;
        out += '"';
    }
    out += "],";
}

void append_firmware(const FirmwareInfo& firmware, std::string& out) {
    fmt::format_to(
        std::back_inserter(out),
        FMT_COMPILE(R"("fw":"{}","boot":{},"clock":"{}",)"),
        firmware.release,
        firmware.boot,
        firmware.is_clock_set ? clock_set : clock_unset
    );
}

}  // namespace

Result<void> append_payload(const Reading& reading, std::string& out) {
    MILEPOST_TRY(check(reading));
    const std::size_t before = out.size();
    const ReadingHead& head = reading.head;
    fmt::format_to(
        std::back_inserter(out),
        FMT_COMPILE(R"({{"v":{},"vss":"{}","vehicle":"{}","seq":{},"ts":{},)"),
        reading.firmware ? version_firmware : version_plain,
        vss_version,
        head.vehicle.text(),
        head.seq,
        head.time.value()
    );
    if (reading.firmware) append_firmware(*reading.firmware, out);
    out += "\"signals\":{";
    auto end = std::back_inserter(out);
    for (const auto& [signal, value] : reading.values) {
        end = fmt::format_to(end, FMT_COMPILE("\"{}\":{},"), info(signal).name, value);
    }
    if (reading.ignition) {
        const auto name = ignition_names[static_cast<std::size_t>(*reading.ignition)];
        fmt::format_to(end, FMT_COMPILE("\"{}\":\"{}\","), info(Signal::ignition).name, name);
    }
    if (reading.trouble_codes) append_trouble_codes(*reading.trouble_codes, out);
    out.back() = '}';  // the last comma: there is at least one signal
    out += '}';
    MILEPOST_CHECK(out.size() - before <= payload_bytes_max);
    return {};
}

}  // namespace milepost::sensors
