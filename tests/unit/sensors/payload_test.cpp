#include "sensors/payload.hpp"

#include "sensors/errc.hpp"
#include "tests/support/matchers.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <cmath>
#include <limits>
#include <string>

using namespace milepost;
using namespace milepost::sensors;

namespace {

Reading reading_of(std::vector<SignalValue> values) {
    return {
        .head =
            {.vehicle = *VehicleId::parse("V0001"),
             .seq = 17,
             .time = Timestamp{1'795'393'770'318}},
        .values = std::move(values),
        .trouble_codes = std::nullopt,
    };
}

std::string payload_of(const Reading& reading) {
    std::string out;
    REQUIRE(append_payload(reading, out).has_value());
    return out;
}

Errc error_of(const std::string& payload) {
    PayloadParser parser;
    const auto parsed = parser.parse(as_bytes(payload));
    REQUIRE(parsed.has_error());
    REQUIRE(parsed.error().category() == sensors_category());
    return static_cast<Errc>(parsed.error().value());
}

// A whole payload with one field's text replaced.
std::string payload_with(const std::string& field, const std::string& text) {
    std::string out = "{";
    const std::pair<std::string, std::string> fields[] = {
        {"v", "1"},
        {"vss", R"("6.0")"},
        {"vehicle", R"("V0001")"},
        {"seq", "17"},
        {"ts", "1795393770318"},
        {"signals", R"({"Vehicle.Speed":45.2})"}};
    for (const auto& [name, value] : fields) {
        if (out.size() > 1) out += ',';
        out += '"' + name + "\":" + (name == field ? text : value);
    }
    return out + '}';
}

std::string payload_with_signals(const std::string& signals) {
    return payload_with("signals", signals);
}

}  // namespace

TEST_CASE("payload: it is written as the interface says", "[payload]") {
    CHECK(
        payload_of(reading_of({{Signal::speed, 45.2}, {Signal::engine_speed, 1800}})) ==
        R"({"v":1,"vss":"6.0","vehicle":"V0001","seq":17,"ts":1795393770318,"signals":)"
        R"({"Vehicle.Speed":45.2,"Vehicle.Powertrain.CombustionEngine.Speed":1800}})"
    );
}

TEST_CASE("payload: each signal survives the way there and back", "[payload]") {
    PayloadParser parser;
    for (const SignalInfo& entry : signals()) {
        if (is_text(entry.signal)) continue;
        for (const double value : {entry.min, entry.max, 0.1, -1.0 / 3.0, 1e300, 5e-324, -0.0}) {
            INFO(entry.name << ' ' << value);
            const Reading reading = reading_of({{entry.signal, value}});
            const auto parsed = parser.parse(as_bytes(payload_of(reading)));
            REQUIRE(parsed.has_value());
            CHECK(*parsed == reading);
        }
    }
}

TEST_CASE("payload: all signals together survive, and a foreign parser reads them", "[payload]") {
    Reading reading = reading_of({});
    for (const SignalInfo& entry : signals()) {
        if (is_text(entry.signal)) continue;
        reading.values.push_back({entry.signal, entry.max - 0.5});
    }
    reading.trouble_codes = {"P0301", "U0100-87"};
    reading.ignition = Ignition::acc;
    const std::string payload = payload_of(reading);
    PayloadParser parser;
    const auto parsed = parser.parse(as_bytes(payload));
    REQUIRE(parsed.has_value());
    CHECK(*parsed == reading);

    const auto json = nlohmann::json::parse(payload);
    CHECK(json["v"] == 1);
    CHECK(json["vehicle"] == "V0001");
    CHECK(json["signals"].size() == signal_count);
    CHECK(json["signals"]["Vehicle.Diagnostics.DTCList"][1] == "U0100-87");
}

TEST_CASE("payload: version 2 says which firmware took the reading", "[payload]") {
    Reading reading = reading_of({});
    reading.ignition = Ignition::off;
    reading.firmware = FirmwareInfo{.release = "2.0.0", .boot = 3, .is_clock_set = false};
    const std::string payload = payload_of(reading);
    CHECK(
        payload ==
        R"({"v":2,"vss":"6.0","vehicle":"V0001","seq":17,"ts":1795393770318,"fw":"2.0.0","boot":3,)"
        R"("clock":"unset","signals":{"Vehicle.LowVoltageSystemState":"OFF"}})"
    );
    PayloadParser parser;
    const auto parsed = parser.parse(as_bytes(payload));
    REQUIRE(parsed.has_value());
    CHECK(*parsed == reading);
    CHECK(parser.parse_head(as_bytes(payload))->seq == 17);
}

TEST_CASE("payload: what version 2 asks for means nothing in version 1", "[payload]") {
    const std::string rest =
        R"("vss":"6.0","vehicle":"V0001","seq":17,"ts":1,"signals":{"Vehicle.Speed":1}})";
    PayloadParser parser;
    for (const std::string firmware :
         {R"("fw":7,)", R"("boot":-1,)", R"("clock":"cuckoo","clock":[],)", R"("fw":"a b",)"}) {
        INFO(firmware);
        CHECK(parser.parse(as_bytes("{" + firmware + R"("v":1,)" + rest)).has_value());
        CHECK(parser.parse(as_bytes(R"({"v":1,)" + firmware + rest)).has_value());
        const std::string others = R"("fw":"2","boot":1,"clock":"set",)";
        CHECK(parser.parse(as_bytes("{" + others + R"("v":2,)" + rest)).has_value());
        CHECK(error_of("{" + firmware + others + R"("v":2,)" + rest) != Errc::not_json);
    }
    Reading reading = reading_of({{Signal::speed, 1}});
    std::string out;
    for (const auto& [release, boot] :
         {std::pair{"", 1U}, std::pair{"a b", 1U}, std::pair{"2.0", 0U}}) {
        reading.firmware = FirmwareInfo{.release = release, .boot = boot, .is_clock_set = true};
        CHECK(append_payload(reading, out) == make_error_code(Errc::bad_firmware));
    }
}

TEST_CASE("payload: no trouble code and nothing said about them differ", "[payload]") {
    Reading reading = reading_of({});
    reading.trouble_codes.emplace();
    PayloadParser parser;
    const auto parsed = parser.parse(as_bytes(payload_of(reading)));
    REQUIRE(parsed.has_value());
    CHECK(*parsed == reading);
}

TEST_CASE("payload: what breaks a limit is not written, and nothing is appended", "[payload]") {
    const auto refused = [](const Reading& reading) {
        std::string out = "before";
        const auto written = append_payload(reading, out);
        REQUIRE(written.has_error());
        CHECK(out == "before");
        return static_cast<Errc>(written.error().value());
    };
    CHECK(refused(reading_of({})) == Errc::no_signals);
    CHECK(refused(reading_of({{Signal::speed, std::nan("")}})) == Errc::number_not_finite);
    CHECK(
        refused(reading_of({{Signal::speed, std::numeric_limits<double>::infinity()}})) ==
        Errc::number_not_finite
    );
    CHECK(refused(reading_of({{Signal::speed, 1}, {Signal::speed, 1}})) == Errc::duplicate_signal);
    CHECK(refused(reading_of({{Signal::trouble_codes, 1}})) == Errc::duplicate_signal);

    Reading reading = reading_of({{Signal::speed, 1}});
    reading.head.seq = 0;
    CHECK(refused(reading) == Errc::seq_out_of_range);
    reading.head.seq = seq_max + 1;
    CHECK(refused(reading) == Errc::seq_out_of_range);
    reading.head.seq = seq_max;
    reading.head.time = Timestamp{-1};
    CHECK(refused(reading) == Errc::time_out_of_range);
    reading.head.time = Timestamp{time_max_ms};
    reading.trouble_codes = {"a\"b"};
    CHECK(refused(reading) == Errc::bad_trouble_code);
    reading.trouble_codes = {std::string(trouble_code_bytes_max + 1, 'P')};
    CHECK(refused(reading) == Errc::bad_trouble_code);
    reading.trouble_codes = std::vector<std::string>(trouble_codes_max + 1, "P0001");
    CHECK(refused(reading) == Errc::too_many_trouble_codes);
    reading.trouble_codes->pop_back();
    CHECK_FALSE(payload_of(reading).empty());
}

TEST_CASE("payload: fields in another order, unknown ones and white space are read", "[payload]") {
    PayloadParser parser;
    const auto parsed = parser.parse(as_bytes(R"( {
        "signals" : { "Vehicle.Later" : {"deep":[1,{"a":"}"}]}, "Vehicle.Speed" : 1e1 },
        "firmware" : [ "x", {"ts": 3} ], "ts" : 5, "seq" : 2,
        "vehicle" : "V\u0031", "vss" : "6.0", "v" : 1 } )"));
    REQUIRE(parsed.has_value());
    CHECK(parsed->head.vehicle.text() == "V1");
    CHECK(parsed->head.seq == 2);
    CHECK(parsed->head.time == Timestamp{5});
    CHECK(parsed->values == std::vector<SignalValue>{{Signal::speed, 10}});
}

TEST_CASE("payload: a missing field is an error, and so is one that comes twice", "[payload]") {
    for (const std::string field : {"v", "vss", "vehicle", "seq", "ts", "signals"}) {
        INFO(field);
        std::string payload = payload_with("", "");
        const std::size_t at = payload.find('"' + field + "\":");
        std::string renamed = payload;
        renamed.replace(at + 1, field.size(), "x");
        CHECK(error_of(renamed) == Errc::missing_field);
        std::string twice = payload;
        twice.pop_back();
        const auto json = nlohmann::json::parse(payload);
        twice += ",\"" + field + "\":" + json[field].dump() + "}";
        CHECK(error_of(twice) == Errc::duplicate_signal);
    }
}

TEST_CASE("payload: hostile JSON is refused with the reason", "[payload]") {
    struct Case {
        std::string payload;
        Errc expected;
    };

    std::string many = "{";
    for (std::size_t i = 0; i <= signals_max; ++i)
        many += "\"s" + std::to_string(i) + "\":1,";
    many.back() = '}';
    std::string codes = "[";
    for (std::size_t i = 0; i <= trouble_codes_max; ++i)
        codes += "\"P1\",";
    codes.back() = ']';
    const std::string dtc = R"({"Vehicle.Diagnostics.DTCList":)";
    const std::string whole = payload_with("", "");
    const Case cases[] = {
        {"", Errc::not_json},
        {" ", Errc::not_json},
        {"null", Errc::not_json},
        {"[]", Errc::not_json},
        {"{", Errc::not_json},
        {"{}", Errc::missing_field},
        {std::string(10, '\0'), Errc::not_json},
        {"\xff\xfe", Errc::not_json},
        {std::string(5000, '['), Errc::not_json},
        {std::string(5000, '{'), Errc::not_json},
        {whole + "x", Errc::not_json},
        {whole + whole, Errc::not_json},
        {std::string(payload_bytes_max + 1, ' '), Errc::payload_too_large},
        {payload_with("v", "3"), Errc::unsupported_version},
        {payload_with("v", "2"), Errc::missing_field},
        {payload_with_signals(R"({"Vehicle.LowVoltageSystemState":"AJAR"})"), Errc::bad_ignition},
        {payload_with_signals(R"({"Vehicle.LowVoltageSystemState":1})"), Errc::wrong_type},
        {payload_with("v", "1.5"), Errc::unsupported_version},
        {payload_with("v", R"("1")"), Errc::wrong_type},
        {payload_with("vss", R"("5.0")"), Errc::unsupported_vocabulary},
        {payload_with("vss", "6.0"), Errc::wrong_type},
        {payload_with("vehicle", R"("a/b")"), Errc::bad_vehicle_id},
        {payload_with("vehicle", R"("")"), Errc::bad_vehicle_id},
        {payload_with("vehicle", "17"), Errc::wrong_type},
        {payload_with("vehicle", R"("a\u0000b")"), Errc::bad_vehicle_id},
        {payload_with("vehicle", "\"a\xff\""), Errc::not_json},
        {payload_with("seq", "0"), Errc::seq_out_of_range},
        {payload_with("seq", "-1"), Errc::seq_out_of_range},
        {payload_with("seq", "1.5"), Errc::seq_out_of_range},
        {payload_with("seq", "9007199254740992"), Errc::seq_out_of_range},
        {payload_with("seq", "99999999999999999999999"), Errc::seq_out_of_range},
        {payload_with("seq", "null"), Errc::wrong_type},
        {payload_with("ts", "-1"), Errc::time_out_of_range},
        {payload_with("ts", "253402300800000"), Errc::time_out_of_range},
        {payload_with_signals("{}"), Errc::no_signals},
        {payload_with_signals("[]"), Errc::wrong_type},
        {payload_with_signals(many), Errc::too_many_signals},
        {payload_with_signals(R"({"Vehicle.Speed":1,"Vehicle.Speed":2})"), Errc::duplicate_signal},
        {payload_with_signals(R"({"Vehicle.Speed":1e999})"), Errc::number_not_finite},
        {payload_with_signals(R"({"Vehicle.Speed":-1e999})"), Errc::number_not_finite},
        {payload_with_signals(R"({"Vehicle.Speed":"1"})"), Errc::wrong_type},
        {payload_with_signals(R"({"Vehicle.Speed":null})"), Errc::wrong_type},
        {payload_with_signals("{\"" + std::string(129, 'x') + "\":1}"), Errc::string_too_long},
        {payload_with_signals(dtc + "1}"), Errc::wrong_type},
        {payload_with_signals(dtc + "[1]}"), Errc::wrong_type},
        {payload_with_signals(dtc + R"([""]})"), Errc::bad_trouble_code},
        {payload_with_signals(dtc + R"(["P\n"]})"), Errc::bad_trouble_code},
        {payload_with_signals(dtc + R"(["12345678901234567"]})"), Errc::bad_trouble_code},
        {payload_with_signals(dtc + codes + "}"), Errc::too_many_trouble_codes},
    };
    for (const Case& one : cases) {
        INFO(one.payload.substr(0, 200));
        CHECK(error_of(one.payload) == one.expected);
    }
    for (const std::string text : {"NaN", "Infinity", "+1", "01", ".5", "1.", "0x10"}) {
        INFO(text);
        PayloadParser parser;
        const std::string payload = payload_with_signals("{\"Vehicle.Speed\":" + text + "}");
        CHECK(parser.parse(as_bytes(payload)).has_error());
    }
}

TEST_CASE("payload: every prefix of a payload is refused, none crashes", "[payload]") {
    Reading reading = reading_of({{Signal::speed, 45.2}, {Signal::latitude, -48.1234567}});
    reading.trouble_codes = {"P0301"};
    const std::string payload = payload_of(reading);
    PayloadParser parser;
    for (std::size_t length = 0; length < payload.size(); ++length) {
        INFO(length);
        CHECK(parser.parse(as_bytes(payload).first(length)).has_error());
    }
}

TEST_CASE("payload: a byte changed anywhere gives a reading or an error, no crash", "[payload]") {
    Reading reading = reading_of({{Signal::speed, 45.2}, {Signal::odometer, 1}});
    reading.trouble_codes = {"P0301"};
    const std::string payload = payload_of(reading);
    PayloadParser parser;
    for (std::size_t at = 0; at < payload.size(); ++at) {
        for (const char c : {'\0', '"', '{', '}', ',', '9', '\\', '\xff', ' ', '-'}) {
            std::string changed = payload;
            changed[at] = c;
            const auto parsed = parser.parse(as_bytes(changed));
            if (parsed) CHECK(is_vehicle_id(parsed->head.vehicle.text()));
        }
    }
}

TEST_CASE("payload: the head is read without looking at the signals", "[payload]") {
    PayloadParser parser;
    const auto head = parser.parse_head(as_bytes(payload_with_signals(R"({"Vehicle.Speed":oh})")));
    REQUIRE(head.has_value());
    CHECK(head->vehicle.text() == "V0001");
    CHECK(head->seq == 17);
    CHECK(head->time == Timestamp{1'795'393'770'318});
    CHECK(parser.parse_head(as_bytes("{}")).error() == Errc::missing_field);
    CHECK(parser.parse_head(as_bytes(payload_with("seq", "0"))).error() == Errc::seq_out_of_range);
}
