#include "sensors/payload.hpp"

#include "sensors/errc.hpp"
#include "storage/base/check.hpp"

#include <fmt/compile.h>
#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

namespace milepost::sensors {

namespace {

namespace ondemand = simdjson::ondemand;

constexpr std::uint64_t payload_version = 1;

static_assert(signal_count <= 32, "duplicate signals are found in a 32 bit mask");

constexpr std::uint32_t bit(Signal signal) {
    return 1U << static_cast<unsigned>(signal);
}

// Letters, digits and hyphens: needs no escape in JSON.
bool is_trouble_code(std::string_view code) {
    const auto allowed = [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               c == '-';
    };
    return !code.empty() && code.size() <= trouble_code_bytes_max &&
           std::all_of(code.begin(), code.end(), allowed);
}

// ---- Reading -> bytes

Result<void> check(const Reading& reading) {
    if (reading.head.seq == 0 || reading.head.seq > seq_max) return Errc::seq_out_of_range;
    const std::int64_t time = reading.head.time.value();
    if (time < 0 || time > time_max_ms) return Errc::time_out_of_range;
    if (reading.values.empty() && !reading.trouble_codes) return Errc::no_signals;
    std::uint32_t seen = bit(Signal::trouble_codes);
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

// ---- bytes -> Reading

// The six fields, as bits of what was seen.
enum : unsigned {
    field_v = 1U,
    field_vss = 2U,
    field_vehicle = 4U,
    field_seq = 8U,
    field_ts = 16U,
    field_signals = 32U,
    fields_of_head = 31U,
    fields_of_reading = 63U,
};

unsigned field_of(std::string_view name) {
    if (name == "v") return field_v;
    if (name == "vss") return field_vss;
    if (name == "vehicle") return field_vehicle;
    if (name == "seq") return field_seq;
    if (name == "ts") return field_ts;
    if (name == "signals") return field_signals;
    return 0;
}

// What has been read so far.
struct Draft {
    unsigned seen = 0;
    std::optional<VehicleId> vehicle;
    std::uint64_t seq = 0;
    std::int64_t time = 0;
    std::vector<SignalValue> values;
    std::optional<std::vector<std::string>> trouble_codes;
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

Result<void> read_signal(Signal signal, ondemand::value& value, Draft& draft) {
    if (signal == Signal::trouble_codes) return read_trouble_codes(value, draft);
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

Result<void> read_field(unsigned field, ondemand::value& value, Draft& draft) {
    switch (field) {
        case field_v: {
            const auto version = get_whole<std::uint64_t>(value, Errc::unsupported_version);
            if (!version) return version.error();
            if (*version != payload_version) return Errc::unsupported_version;
            return {};
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
        default: return {};
    }
}

// Reads the fields in `wanted` and stops there, or at the end if they are all of them.
Result<void> read_object(ondemand::object& object, unsigned wanted, Draft& draft) {
    for (auto member : object) {
        ondemand::value value;
        const auto name = open_member(std::move(member), value);
        if (!name) return name.error();
        const unsigned field = field_of(*name);
        if ((field & wanted) == 0) continue;
        if ((draft.seen & field) != 0) return Errc::duplicate_signal;
        draft.seen |= field;
        MILEPOST_TRY(read_field(field, value, draft));
        if (draft.seen == wanted && wanted != fields_of_reading) return {};
    }
    return draft.seen == wanted ? Result<void>{} : Errc::missing_field;
}

ReadingHead head_of(Draft& draft) {
    return {
        .vehicle = std::move(*draft.vehicle),
        .seq = draft.seq,
        .time = Timestamp{draft.time},
    };
}

}  // namespace

Result<void> append_payload(const Reading& reading, std::string& out) {
    MILEPOST_TRY(check(reading));
    const std::size_t before = out.size();
    const ReadingHead& head = reading.head;
    auto end = fmt::format_to(
        std::back_inserter(out),
        FMT_COMPILE(R"({{"v":{},"vss":"{}","vehicle":"{}","seq":{},"ts":{},"signals":{{)"),
        payload_version,
        vss_version,
        head.vehicle.text(),
        head.seq,
        head.time.value()
    );
    for (const auto& [signal, value] : reading.values) {
        end = fmt::format_to(end, FMT_COMPILE("\"{}\":{},"), info(signal).name, value);
    }
    if (reading.trouble_codes) append_trouble_codes(*reading.trouble_codes, out);
    out.back() = '}';  // the last comma: there is at least one signal
    out += '}';
    MILEPOST_CHECK(out.size() - before <= payload_bytes_max);
    return {};
}

// The input is copied to where simdjson may read beyond its end.
struct PayloadParser::State {
    ondemand::parser parser{payload_bytes_max};
    std::vector<char> padded = std::vector<char>(payload_bytes_max + simdjson::SIMDJSON_PADDING);

    Result<Draft> read(Bytes payload, unsigned wanted) {
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
        MILEPOST_TRY(read_object(object, wanted, draft));
        const bool at_end = document.current_location().error() == simdjson::OUT_OF_BOUNDS;
        if (wanted == fields_of_reading && !at_end) return Errc::not_json;
        return draft;
    }
};

PayloadParser::PayloadParser()
    : state_(std::make_unique<State>()) {}

PayloadParser::~PayloadParser() = default;
PayloadParser::PayloadParser(PayloadParser&&) noexcept = default;
PayloadParser& PayloadParser::operator=(PayloadParser&&) noexcept = default;

Result<Reading> PayloadParser::parse(Bytes payload) {
    auto draft = state_->read(payload, fields_of_reading);
    if (!draft) return draft.error();
    return Reading{
        .head = head_of(*draft),
        .values = std::move(draft->values),
        .trouble_codes = std::move(draft->trouble_codes),
    };
}

Result<ReadingHead> PayloadParser::parse_head(Bytes payload) {
    auto draft = state_->read(payload, fields_of_head);
    if (!draft) return draft.error();
    return head_of(*draft);
}

}  // namespace milepost::sensors
