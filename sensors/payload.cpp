#include "sensors/payload.hpp"

#include "sensors/errc.hpp"
#include "sensors/payload_words.hpp"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

namespace milepost::sensors {

namespace {

namespace ondemand = simdjson::ondemand;

// The fields, as bits of what was seen.
enum : unsigned {
    field_v = 1U,
    field_vss = 2U,
    field_vehicle = 4U,
    field_seq = 8U,
    field_ts = 16U,
    field_signals = 32U,
    field_fw = 64U,
    field_boot = 128U,
    field_clock = 256U,
    fields_of_head = 31U,
    fields_of_reading = 63U,
    fields_of_firmware = 448U,  // beside those of the reading, in version 2
    fields_all = 511U,
};

unsigned field_of(std::string_view name) {
    if (name == "v") return field_v;
    if (name == "vss") return field_vss;
    if (name == "vehicle") return field_vehicle;
    if (name == "seq") return field_seq;
    if (name == "ts") return field_ts;
    if (name == "signals") return field_signals;
    if (name == "fw") return field_fw;
    if (name == "boot") return field_boot;
    if (name == "clock") return field_clock;
    return 0;
}

// What has been read so far.
struct Draft {
    unsigned seen = 0;
    std::uint64_t version = 0;
    std::optional<VehicleId> vehicle;
    std::uint64_t seq = 0;
    std::int64_t time = 0;
    std::vector<SignalValue> values;
    std::optional<std::vector<std::string>> trouble_codes;
    std::optional<Ignition> ignition;
    FirmwareInfo firmware{};
    ErrorCode firmware_error;
};

// simdjson's errors, as far as a reader of ours cares: the wrong type, or not JSON.
Errc translated(simdjson::error_code error) {
    const bool is_type = error == simdjson::INCORRECT_TYPE || error == simdjson::NUMBER_ERROR ||
                         error == simdjson::NUMBER_OUT_OF_RANGE;
    return is_type ? Errc::wrong_type : Errc::not_json;
}

template <class T>
Result<T> get(ondemand::value& value) {
    T taken{};
    if (const auto error = value.get(taken)) return translated(error);
    return taken;
}

// A whole number of JSON: 17, not 17.0 and not "17". A number that no integer holds is out of
// range, whatever simdjson calls it.
template <class T>
Result<T> get_whole(ondemand::value& value, Errc out_of_range) {
    ondemand::json_type type{};
    if (const auto error = value.type().get(type)) return translated(error);
    if (type != ondemand::json_type::number) return Errc::wrong_type;
    T taken{};
    if (value.get(taken)) return out_of_range;
    return taken;
}

Result<void> read_trouble_codes(ondemand::value& value, Draft& draft) {
    ondemand::array array;
    if (const auto error = value.get_array().get(array)) return translated(error);
    auto& codes = draft.trouble_codes.emplace();
    for (auto element : array) {
        std::string_view code;
        if (const auto error = element.get_string().get(code)) return translated(error);
        if (codes.size() == trouble_codes_max) return Errc::too_many_trouble_codes;
        if (!is_trouble_code(code)) return Errc::bad_trouble_code;
        codes.emplace_back(code);
    }
    return {};
}

Result<void> read_ignition(ondemand::value& value, Draft& draft) {
    const auto text = get<std::string_view>(value);
    if (!text) return text.error();
    const auto* const found = std::find(ignition_names.begin(), ignition_names.end(), *text);
    if (found == ignition_names.end()) return Errc::bad_ignition;
    draft.ignition = static_cast<Ignition>(found - ignition_names.begin());
    return {};
}

Result<void> read_signal(Signal signal, ondemand::value& value, Draft& draft) {
    if (signal == Signal::trouble_codes) return read_trouble_codes(value, draft);
    if (signal == Signal::ignition) return read_ignition(value, draft);
    ondemand::json_type type{};
    if (const auto error = value.type().get(type)) return translated(error);
    if (type != ondemand::json_type::number) return Errc::wrong_type;
    double number = 0;
    if (value.get_double().get(number) || !std::isfinite(number)) return Errc::number_not_finite;
    draft.values.push_back({.signal = signal, .value = number});
    return {};
}

// The next member of an object: its name, checked, and its value.
Result<std::string_view> open_member(
    simdjson::simdjson_result<ondemand::field>&& member,
    ondemand::value& value
) {
    ondemand::field field;
    if (std::move(member).get(field)) return Errc::not_json;
    std::string_view name;
    if (field.unescaped_key().get(name)) return Errc::not_json;
    if (name.size() > signal_name_bytes_max) return Errc::string_too_long;
    value = field.value();
    return name;
}

Result<void> read_signals(ondemand::value& value, Draft& draft) {
    ondemand::object object;
    if (const auto error = value.get_object().get(object)) return translated(error);
    std::uint32_t seen = 0;
    std::size_t count = 0;
    draft.values.reserve(signal_count);
    for (auto member : object) {
        ondemand::value number;
        const auto name = open_member(std::move(member), number);
        if (!name) return name.error();
        if (++count > signals_max) return Errc::too_many_signals;
        const auto signal = find_signal(*name);
        if (!signal) continue;
        if ((seen & bit(*signal)) != 0) return Errc::duplicate_signal;
        seen |= bit(*signal);
        MILEPOST_TRY(read_signal(*signal, number, draft));
    }
    if (count == 0) return Errc::no_signals;
    return {};
}

Result<void> read_vehicle(ondemand::value& value, Draft& draft) {
    const auto text = get<std::string_view>(value);
    if (!text) return text.error();
    auto parsed = VehicleId::parse(*text);
    if (!parsed) return parsed.error();
    draft.vehicle = std::move(*parsed);
    return {};
}

Result<void> read_firmware(unsigned field, ondemand::value& value, Draft& draft) {
    FirmwareInfo& firmware = draft.firmware;
    if (field == field_boot) {
        const auto boot = get_whole<std::uint64_t>(value, Errc::bad_firmware);
        if (!boot) return boot.error();
        if (*boot == 0 || *boot > seq_max) return Errc::bad_firmware;
        firmware.boot = *boot;
        return {};
    }
    const auto text = get<std::string_view>(value);
    if (!text) return text.error();
    if (field == field_fw) {
        if (!is_release(*text)) return Errc::bad_firmware;
        firmware.release = *text;
        return {};
    }
    firmware.is_clock_set = *text == clock_set;
    return *text == clock_set || *text == clock_unset ? Result<void>{} : Errc::bad_firmware;
}

Result<void> read_field(unsigned field, ondemand::value& value, Draft& draft) {
    switch (field) {
        case field_v: {
            const auto version = get_whole<std::uint64_t>(value, Errc::unsupported_version);
            if (!version) return version.error();
            draft.version = *version;
            const bool is_known = *version == version_plain || *version == version_firmware;
            return is_known ? Result<void>{} : Errc::unsupported_version;
        }
        case field_vss: {
            const auto version = get<std::string_view>(value);
            if (!version) return version.error();
            if (*version != vss_version) return Errc::unsupported_vocabulary;
            return {};
        }
        case field_vehicle: return read_vehicle(value, draft);
        case field_seq: {
            const auto seq = get_whole<std::uint64_t>(value, Errc::seq_out_of_range);
            if (!seq) return seq.error();
            if (*seq == 0 || *seq > seq_max) return Errc::seq_out_of_range;
            draft.seq = *seq;
            return {};
        }
        case field_ts: {
            const auto time = get_whole<std::int64_t>(value, Errc::time_out_of_range);
            if (!time) return time.error();
            if (*time < 0 || *time > time_max_ms) return Errc::time_out_of_range;
            draft.time = *time;
            return {};
        }
        case field_signals: return read_signals(value, draft);
        case field_fw:
        case field_boot:
        case field_clock: return read_firmware(field, value, draft);
        default: return {};
    }
}

// Reads the head and stops there, or reads everything.
Result<void> read_object(ondemand::object& object, bool is_head_enough, Draft& draft) {
    const unsigned wanted = is_head_enough ? fields_of_head : fields_all;
    for (auto member : object) {
        ondemand::value value;
        const auto name = open_member(std::move(member), value);
        if (!name) return name.error();
        const unsigned field = field_of(*name);
        if ((field & wanted) == 0) continue;
        const bool is_double = (draft.seen & field) != 0;
        draft.seen |= field;
        const Result<void> read = is_double ? Errc::duplicate_signal
                                            : read_field(field, value, draft);
        if (!read && (field & fields_of_firmware) == 0) return read.error();
        // Version 1 does not know these: they may mean anything there.
        if (!read) draft.firmware_error = read.error();
        if (is_head_enough && draft.seen == fields_of_head) return {};
    }
    const unsigned needed = is_head_enough                      ? fields_of_head
                            : draft.version == version_firmware ? fields_all
                                                                : fields_of_reading;
    if (needed == fields_all && draft.firmware_error) return draft.firmware_error;
    return (draft.seen & needed) == needed ? Result<void>{} : Errc::missing_field;
}

ReadingHead head_of(Draft& draft) {
    return {
        .vehicle = std::move(*draft.vehicle),
        .seq = draft.seq,
        .time = Timestamp{draft.time},
    };
}

}  // namespace

// The input is copied to where simdjson may read beyond its end.
struct PayloadParser::State {
    ondemand::parser parser{payload_bytes_max};
    std::vector<char> padded = std::vector<char>(payload_bytes_max + simdjson::SIMDJSON_PADDING);

    Result<Draft> read(Bytes payload, bool is_head_enough) {
        if (payload.size() > payload_bytes_max) return Errc::payload_too_large;
        if (payload.empty()) return Errc::not_json;
        std::memcpy(padded.data(), payload.data(), payload.size());
        std::memset(padded.data() + payload.size(), ' ', simdjson::SIMDJSON_PADDING);
        ondemand::document document;
        if (parser.iterate(padded.data(), payload.size(), padded.size()).get(document)) {
            return Errc::not_json;
        }
        ondemand::object object;
        if (document.get_object().get(object)) return Errc::not_json;
        Draft draft;
        MILEPOST_TRY(read_object(object, is_head_enough, draft));
        const bool at_end = document.current_location().error() == simdjson::OUT_OF_BOUNDS;
        if (!is_head_enough && !at_end) return Errc::not_json;
        return draft;
    }
};

PayloadParser::PayloadParser()
    : state_(std::make_unique<State>()) {}

PayloadParser::~PayloadParser() = default;
PayloadParser::PayloadParser(PayloadParser&&) noexcept = default;
PayloadParser& PayloadParser::operator=(PayloadParser&&) noexcept = default;

Result<Reading> PayloadParser::parse(Bytes payload) {
    auto draft = state_->read(payload, /*is_head_enough=*/false);
    if (!draft) return draft.error();
    return Reading{
        .head = head_of(*draft),
        .values = std::move(draft->values),
        .trouble_codes = std::move(draft->trouble_codes),
        .ignition = draft->ignition,
        .firmware = draft->version == version_firmware ? std::optional{std::move(draft->firmware)}
                                                       : std::nullopt,
    };
}

Result<ReadingHead> PayloadParser::parse_head(Bytes payload) {
    auto draft = state_->read(payload, /*is_head_enough=*/true);
    if (!draft) return draft.error();
    return head_of(*draft);
}

}  // namespace milepost::sensors
