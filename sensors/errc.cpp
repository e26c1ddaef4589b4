#include "sensors/errc.hpp"

#include <string>

namespace milepost::sensors {

namespace {

const char* text_of(Errc errc) {
    switch (errc) {
        case Errc::bad_vehicle_id: return "vehicle id is not 1 to 64 of [A-Za-z0-9._-]";
        case Errc::payload_too_large: return "payload is larger than 16 KiB";
        case Errc::not_json: return "payload is not one JSON object";
        case Errc::missing_field:
            return "v, vss, vehicle, seq, ts, signals or, in version 2, fw, boot or clock is "
                   "missing";
        case Errc::wrong_type: return "a field has the wrong type";
        case Errc::unsupported_version: return "payload version is not 1 or 2";
        case Errc::unsupported_vocabulary: return "vss is not 6.0";
        case Errc::seq_out_of_range: return "seq is not 1 to 2^53 - 1";
        case Errc::time_out_of_range: return "ts is not a time before the year 10000";
        case Errc::no_signals: return "the reading has no signal";
        case Errc::too_many_signals: return "the reading has more than 64 signals";
        case Errc::duplicate_signal: return "a signal or a field appears twice";
        case Errc::number_not_finite: return "a signal's value is not a finite number";
        case Errc::string_too_long: return "a name or a string is too long";
        case Errc::bad_trouble_code: return "a trouble code is not 1 to 16 of [A-Za-z0-9-]";
        case Errc::too_many_trouble_codes: return "the reading has more than 32 trouble codes";
        case Errc::not_a_ledger: return "the first line is not 'milepost-ledger 1'";
        case Errc::bad_ignition: return "Vehicle.LowVoltageSystemState has none of its values";
        case Errc::bad_firmware: return "fw, boot or clock is malformed";
        case Errc::bad_ledger_line: return "a line of the ledger is malformed";
    }
    return "unknown error of a vehicle's bytes";
}

class SensorsCategory final : public boost::system::error_category {
public:
    [[nodiscard]] const char* name() const noexcept override { return "milepost.sensors"; }

    [[nodiscard]] std::string message(int value) const override {
        return text_of(static_cast<Errc>(value));
    }
};

}  // namespace

const boost::system::error_category& sensors_category() {
    static const SensorsCategory category;
    return category;
}

}  // namespace milepost::sensors
