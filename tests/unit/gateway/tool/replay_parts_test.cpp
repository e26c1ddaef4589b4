#include "gateway/tool/base64.hpp"
#include "gateway/tool/export_format.hpp"
#include "gateway/tool/failure.hpp"
#include "gateway/tool/pacer.hpp"
#include "gateway/tool/record_stream.hpp"
#include "gateway/tool/replay_sink.hpp"
#include "gateway/tool/replay_state.hpp"
#include "gateway/tool/selection.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <iterator>
#include <string>

using namespace milepost;
using namespace milepost::tool;
using namespace std::chrono_literals;

namespace {

std::string bytes_of(const std::optional<Bytes>& bytes) {
    return bytes ? std::string{as_text(*bytes)} : "(null)";
}

std::string problem_of(std::string_view line) {
    NdjsonParser parser;
    std::string problem;
    CHECK(parser.parse(line, problem) == nullptr);
    return problem;
}

void write_file(const std::filesystem::path& path, std::string_view text) {
    std::ofstream{path, std::ios::binary} << text;
}

std::string read_file(const std::filesystem::path& path) {
    std::ifstream in{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

template <class Call>
std::string failure_of(Call call) {
    try {
        call();
    } catch (const Failure& failure) {
        return failure.what();
    }
    return "no failure";
}

constexpr std::string_view good_line =
    R"({"topic":"t","partition":0,"offset":1,"timestamp":5,"key":"V1","value":"a"})"
    "\n";

}  // namespace

TEST_CASE("selection: times are RFC 3339, milliseconds, or before now", "[replay]") {
    const Timestamp now{1'800'000'000'000};
    CHECK(parse_time("1970-01-01T00:00:00Z", now) == Timestamp{0});
    CHECK(parse_time("2026-11-24T12:00:00.25+01:30", now) == Timestamp{1'795'516'200'250});
    CHECK(parse_time("2026-11-24 10:30:00Z", now) == Timestamp{1'795'516'200'000});
    CHECK(parse_time("1795516200250", now) == Timestamp{1'795'516'200'250});
    CHECK(parse_time("-2h", now) == now - 7'200'000);
    CHECK(parse_time("-90s", now) == now - 90'000);
    CHECK(parse_time("-3min", now) == now - 180'000);
    CHECK(parse_time("-5ms", now) == now - 5);
    CHECK(parse_time("now", now) == now);
    CHECK(time_text(Timestamp{1'795'516'200'250}) == "2026-11-24T10:30:00.250Z");
}

TEST_CASE("selection: what is no time is refused", "[replay]") {
    for (const auto* text :
         {"",
          "-",
          "-h",
          "2h",
          "yesterday",
          "2026-13-01T00:00:00Z",
          "2026-02-30T00:00:00Z",
          "2026-11-24",
          "2026-11-24T12:00:00",
          "2026-11-24T24:00:00Z",
          "2026-11-24T12:00:00.Z",
          "2026-11-24T12:00:00+1:00",
          "-99999999999999999999h",
          "-9999999999999999h",
          "--2h"}) {
        INFO(text);
        CHECK_FALSE(parse_time(text, Timestamp{0}));
    }
}

TEST_CASE("selection: an offset range is half open", "[replay]") {
    CHECK(parse_offset_range("5..9") == OffsetRange{5, 9});
    CHECK(parse_offset_range("5..") == OffsetRange{5, std::nullopt});
    CHECK(parse_offset_range("..9") == OffsetRange{std::nullopt, 9});
    CHECK_FALSE(parse_offset_range("9..5"));
    CHECK_FALSE(parse_offset_range("5"));
    CHECK_FALSE(parse_offset_range("-5..9"));
    CHECK_FALSE(parse_offset_range("5..9x"));
    Selection selection;
    selection.offsets = {5, 9};
    ReplayRecord record{.topic = "t", .offset = storage::Offset{9}};
    CHECK_FALSE(selection.wants(record));
    record.offset = storage::Offset{8};
    CHECK(selection.wants(record));
    selection.keys = {"V1"};
    CHECK_FALSE(selection.wants(record));  // a null key is nobody's
    record.key = as_bytes("V1");
    CHECK(selection.wants(record));
    selection.until = Timestamp{0};
    CHECK_FALSE(selection.wants(record));
}

TEST_CASE("pacer: ten times as fast, and no error adds up", "[replay]") {
    const Instant start{1h};
    Pacer pacer{Speed{.times = 10}, start};
    CHECK(pacer.due(Timestamp{1'000'000}) == start);
    for (int i = 1; i <= 10'000; ++i) {
        REQUIRE(pacer.due(Timestamp{1'000'000 + i * 7}) == start + i * 700us);
    }
}

TEST_CASE("pacer: a clock that went back does not delay what follows", "[replay]") {
    const Instant start{1h};
    Pacer pacer{Speed{.times = 1}, start};
    CHECK(pacer.due(Timestamp{1'000}) == start);
    CHECK(pacer.due(Timestamp{3'000}) == start + 2s);
    CHECK(pacer.due(Timestamp{500}) == start + 2s);
    CHECK(pacer.due(Timestamp{4'000}) == start + 3s);
    CHECK(pacer.due(Timestamp{INT64_MAX}) > start + 24h * 365);  // and no overflow
}

TEST_CASE("pacer: a gap is cut to what is allowed, and the rest keeps its distances", "[replay]") {
    const Instant start{1h};
    Pacer pacer{Speed{.times = 1}, start, 5s};
    CHECK(pacer.due(Timestamp{0}) == start);
    CHECK(pacer.due(Timestamp{1'795'000'000'000}) == start + 5s);
    CHECK(pacer.due(Timestamp{1'795'000'000'100}) == start + 5s + 100ms);
}

TEST_CASE("pacer: a fixed rate does not look at timestamps", "[replay]") {
    const Instant start{1h};
    Pacer pacer{Speed{.per_second = 200}, start};
    CHECK(pacer.due(Timestamp{9}) == start);
    CHECK(pacer.due(Timestamp{1}) == start + 5ms);
    CHECK(Pacer{Speed{}, start}.due(Timestamp{7}) == start);
}

TEST_CASE("pacer: speeds", "[replay]") {
    CHECK(parse_speed("max")->is_max());
    CHECK(parse_speed("1x") == Speed{.times = 1});
    CHECK(parse_speed("0.5x") == Speed{.times = 0.5});
    CHECK(parse_speed("10×") == Speed{.times = 10});
    CHECK(parse_speed("200/s") == Speed{.per_second = 200});
    for (const auto* text : {"", "x", "1", "0x", "-1x", "nanx", "infx", "1e99x", "/s", "1 x"}) {
        INFO(text);
        CHECK_FALSE(parse_speed(text));
    }
}

TEST_CASE("export: what NDJSON says is read back without loss", "[replay]") {
    const std::string odd{"\0\x1f\"\\\n\x7f\xc3\xa4\xf0\x9f\x9a\x97", 12};
    const std::string binary{"\xff\xfe\0x", 4};
    const std::vector<std::optional<std::string>> texts =
        {std::nullopt, "", "plain", odd, binary, "\xed\xa0\x80", "\xc0\x80", "base64:QQ=="};
    for (const auto& key : texts) {
        for (const auto& value : texts) {
            const auto view = [](const std::optional<std::string>& text) {
                return text ? std::optional{as_bytes(*text)} : std::nullopt;
            };
            const std::vector<storage::HeaderView> headers = {
                {"mp.id", as_bytes("g/l/t-0/1")},
                {"n\xff", as_bytes(binary)},
                {"n\xff", as_bytes("")}};
            const ReplayRecord record{
                .topic = "t.x",
                .partition = 3,
                .offset = storage::Offset{INT64_MAX - 1},
                .timestamp = Timestamp{-1},
                .key = view(key),
                .value = view(value),
                .headers = headers};
            std::string line;
            append_ndjson(record, line);
            REQUIRE(line.find('\n') == line.size() - 1);
            NdjsonParser parser;
            std::string problem;
            const auto* back = parser.parse({line.data(), line.size() - 1}, problem);
            INFO(line << problem);
            REQUIRE(back != nullptr);
            CHECK(back->topic == "t.x");
            CHECK(back->partition == 3);
            CHECK(back->offset == record.offset);
            CHECK(back->timestamp == record.timestamp);
            CHECK(bytes_of(back->key) == bytes_of(record.key));
            CHECK(bytes_of(back->value) == bytes_of(record.value));
            CHECK(back->key.has_value() == key.has_value());
            REQUIRE(back->headers.size() == 3);
            CHECK(back->headers[1].name == "n\xff");
            CHECK(as_text(back->headers[1].value) == binary);
            CHECK(back->headers[2].value.empty());
        }
    }
}

TEST_CASE("export: each byte is escaped where it stands, whatever is around it", "[replay]") {
    NdjsonParser parser;
    for (int byte = 0; byte < 0x100; ++byte) {
        for (std::size_t at = 0; at < 20; ++at) {
            std::string value(19, 'x');
            value.insert(at, 1, static_cast<char>(byte));
            const ReplayRecord record{.topic = "t", .value = as_bytes(value)};
            std::string line;
            append_ndjson(record, line);
            REQUIRE(line.find('\n') == line.size() - 1);
            std::string problem;
            const auto* back = parser.parse({line.data(), line.size() - 1}, problem);
            INFO(line << problem);
            REQUIRE(back != nullptr);
            REQUIRE(bytes_of(back->value) == value);
            REQUIRE((line.find("base64") != line.npos) == (byte >= 0x80));
        }
    }
}

TEST_CASE("export: CSV tells null from empty, and marks base64", "[replay]") {
    ReplayRecord record{.topic = "t", .timestamp = Timestamp{7}};
    const auto line = [&] {
        std::string text;
        append_csv(record, text);
        return text;
    };
    CHECK(line() == "t,0,0,7,,,\n");
    record.key = as_bytes("");
    record.value = as_bytes("a \"b\", c");
    CHECK(line() == "t,0,0,7,\"\",\"a \"\"b\"\", c\",\n");
    record.key = as_bytes("V1");
    record.value = as_bytes("\xff");
    CHECK(line() == "t,0,0,7,V1,base64:/w==,\n");
    record.value = as_bytes("base64:x");
    const std::vector<storage::HeaderView> headers = {{"n", as_bytes("v")}};
    record.headers = headers;
    CHECK(
        line() ==
        "t,0,0,7,V1,base64:YmFzZTY0Ong=,\"[{\"\"name\"\":\"\"n\"\",\"\"value\"\":\"\"v\"\"}]\"\n"
    );
}

TEST_CASE("export: a hostile line is one short problem", "[replay]") {
    CHECK(problem_of("{") == "is no JSON");
    CHECK(problem_of("[]") == "is no JSON object");
    CHECK(problem_of("{}") == "needs one of topic and topic_base64");
    CHECK(problem_of(std::string(100'000, '[')) == "is no JSON");
    CHECK(problem_of("{\"topic\":\"\xff\"}") == "is no JSON");
    const auto with = [](std::string_view partition, std::string_view rest) {
        return R"({"topic":"t","offset":0,"timestamp":0,"partition":)" + std::string{partition} +
               std::string{rest} + "}";
    };
    constexpr std::string_view both_null = R"(,"key":null,"value":null)";
    CHECK(problem_of(with("-1", both_null)) == "partition is out of range");
    CHECK(problem_of(with("\"0\"", both_null)) == "partition is no whole number");
    CHECK(problem_of(with("1.5", both_null)) == "partition is no whole number");
    CHECK(problem_of(with("18446744073709551615", both_null)) == "partition is no whole number");
    CHECK(problem_of(with("0", R"(,"key":1,"value":null)")) == "key is no text and not null");
    CHECK(
        problem_of(with("0", R"(,"key":null,"value_base64":"a")")) == "value_base64 is no base64"
    );
    CHECK(
        problem_of(with("0", R"(,"key":null,"value":"","value_base64":"")")) ==
        "needs one of value and value_base64"
    );
    CHECK(
        problem_of(with("0", R"(,"key":null,"value":null,"headers":{})")) == "headers is no array"
    );
    CHECK(
        problem_of(with("0", R"(,"key":null,"value":null,"headers":[1])")) ==
        "a header is no object"
    );
}

TEST_CASE("base64: the vectors of RFC 4648, and what is none", "[replay]") {
    for (const auto& [plain, coded] :
         {std::pair{"", ""},
          {"f", "Zg=="},
          {"fo", "Zm8="},
          {"foo", "Zm9v"},
          {"foobar", "Zm9vYmFy"}}) {
        std::string text;
        append_base64(as_bytes(plain), text);
        CHECK(text == coded);
        CHECK(as_text(decode_base64(coded).value()) == plain);
    }
    for (const auto* wrong : {"Z", "Zg=", "Zg", "====", "Z===", "Zg==Zg==", "Zm9\n", "=m9v"}) {
        INFO(wrong);
        CHECK_FALSE(decode_base64(wrong));
    }
}

TEST_CASE("file stream: names file and line of what is wrong", "[replay]") {
    const test::TempDir dir;
    const auto file = dir.path() / "f";
    const Selection all;
    const auto read_all = [&] {
        const auto stream = open_file_stream(file.string(), all, {});
        while (stream->next() != nullptr)
            stream->pass();
    };
    write_file(file, std::string{good_line} + "\n" + std::string{good_line} + "{\"topic\":\"t\",");
    CHECK(failure_of(read_all) == file.string() + ":4: is no JSON (the last line is torn)");
    write_file(file, std::string(ndjson_line_bytes_max + 2, 'x'));
    CHECK(failure_of(read_all) == file.string() + ":1: is longer than 8388608 bytes");
    write_file(file, std::string(ndjson_line_bytes_max + 1, ' ') + '\n');
    CHECK(failure_of(read_all) == file.string() + ":1: is longer than 8388608 bytes");
    std::filesystem::remove(file);
    CHECK(failure_of(read_all) == file.string() + ": No such file or directory");
}

TEST_CASE("file stream: goes on behind what was passed", "[replay]") {
    const test::TempDir dir;
    const auto file = dir.path() / "f";
    write_file(
        file,
        std::string{good_line} + std::string{good_line} + std::string{good_line} + "x"
    );
    const Selection all;
    const auto stream = open_file_stream(file.string(), all, {});
    REQUIRE(stream->next() != nullptr);
    stream->pass();
    REQUIRE(stream->next() != nullptr);  // at hand, not passed
    const auto again = open_file_stream(file.string(), all, stream->positions());
    REQUIRE(again->next() != nullptr);
    REQUIRE(again->next() != nullptr);
    again->pass();
    CHECK(failure_of([&] {
              again->next();
          }) == file.string() + ":4: is no JSON (the last line is torn)");
}

TEST_CASE("state: comes back as it was saved, and what is damaged is refused", "[replay]") {
    const test::TempDir dir;
    const auto file = dir.path() / "state";
    CHECK_FALSE(load_state(file));
    ReplayState state;
    state.job = new_job_id();
    state.plan = "a \"plan\"";
    state.count = 17;
    state.shift_ms = -5;
    state.sink_bytes = 99;
    state.since_ms = -7;
    state.positions = {{{"t", 2}, storage::Offset{3}, storage::Offset{9}}};
    save_state(file, state);
    const auto loaded = load_state(file);
    REQUIRE(loaded);
    CHECK(loaded->job == state.job);
    CHECK(loaded->plan == state.plan);
    CHECK(loaded->count == 17);
    CHECK(loaded->shift_ms == -5);
    CHECK(loaded->sink_bytes == 99);
    CHECK(loaded->since_ms == -7);
    CHECK_FALSE(loaded->until_ms);
    CHECK(loaded->positions == state.positions);
    const auto text = read_file(file);
    write_file(file, text.substr(0, text.size() / 2));
    CHECK(failure_of([&] { static_cast<void>(load_state(file)); }
    ).starts_with(file.string() + " is no state of a replay: "));
    write_file(file, "{\"milepost_replay\":2}");
    CHECK(failure_of([&] {
              static_cast<void>(load_state(file));
          }) == file.string() + " is no state of a replay: it is of another version");
}

TEST_CASE(
    "file sink: cuts what was not settled, and takes no file that is not its own",
    "[replay]"
) {
    const test::TempDir dir;
    const auto file = dir.path() / "f";
    const ReplayRecord record{.topic = "t"};
    std::uint64_t settled = 0;
    {
        const auto sink = open_file_sink(file, FileFormat::csv, false, 0, 0);
        sink->put(record);
        settled = sink->settle();
    }
    const auto whole = read_file(file);
    CHECK(whole == std::string{csv_head} + "t,0,0,0,,,\n");
    CHECK(settled == whole.size());
    write_file(file, whole + "t,0,1,");
    {
        const auto sink = open_file_sink(file, FileFormat::csv, true, settled, 1);
        CHECK(sink->taken_before() == 1);
        sink->put(record);
        sink->settle();
    }
    CHECK(read_file(file) == whole + "t,0,0,0,,,\n");
    CHECK(failure_of([&] {
              static_cast<void>(open_file_sink(file, FileFormat::csv, false, 0, 0));
          }) == file.string() + " is there already, and not empty");
    CHECK(
        failure_of([&] { static_cast<void>(open_file_sink(file, FileFormat::csv, true, 1'000, 1)); }
        ) == file.string() + " has " + std::to_string(whole.size() + 11) +
                 " bytes, its state says 1000: it is not as the replay left it"
    );
}
