#include "sensors/ledger_entry.hpp"

#include "sensors/errc.hpp"
#include "tests/support/matchers.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace milepost;
using namespace milepost::sensors;

namespace {

LedgerEntry entry_of(LedgerState state, std::string_view reason = {}) {
    return {
        .time = Timestamp{1'795'393'770'318},
        .vehicle = "V0001",
        .seq = 17,
        .state = state,
        .reason = reason,
    };
}

std::string line_of(const LedgerEntry& entry) {
    std::string line;
    append_ledger_line(entry, line);
    return line;
}

}  // namespace

TEST_CASE("ledger entry: a line has five fields between TABs", "[ledger_entry]") {
    CHECK(line_of(entry_of(LedgerState::sampled)) == "1795393770318\tV0001\t17\tsampled\t\n");
    CHECK(
        line_of(entry_of(LedgerState::dropped, "buffer_full")) ==
        "1795393770318\tV0001\t17\tdropped\tbuffer_full\n"
    );
}

TEST_CASE("ledger entry: every state survives the way there and back", "[ledger_entry]") {
    for (const auto state :
         {LedgerState::sampled,
          LedgerState::published,
          LedgerState::acknowledged,
          LedgerState::dropped}) {
        std::string line = line_of(entry_of(state, "why not"));
        line.pop_back();
        const auto parsed = parse_ledger_line(line);
        REQUIRE(parsed.has_value());
        CHECK(*parsed == entry_of(state, "why not"));
        CHECK(find_ledger_state(name(state)) == state);
    }
}

TEST_CASE("ledger entry: a line without a reason may end after the state", "[ledger_entry]") {
    const auto parsed = parse_ledger_line("1795393770318\tV0001\t17\tsampled");
    REQUIRE(parsed.has_value());
    CHECK(*parsed == entry_of(LedgerState::sampled));
}

TEST_CASE("ledger entry: a malformed line is refused", "[ledger_entry]") {
    for (const std::string line :
         {"",
          "milepost-ledger 1",
          "1\tV0001\t17",
          "1\tV0001\t17\t",
          "1\tV0001\t17\tsamplet\t",
          "1\tV0001\t0\tsampled\t",
          "1\tV0001\t-1\tsampled\t",
          "1\tV0001\t9007199254740992\tsampled\t",
          "1\tV0001\t99999999999999999999\tsampled\t",
          "1\tV0001\t1x\tsampled\t",
          "-1\tV0001\t1\tsampled\t",
          " 1\tV0001\t1\tsampled\t",
          "1\t\t1\tsampled\t",
          "1\tV/1\t1\tsampled\t",
          "1\tV0001\t1\tdropped\ta\tb",
          "1\tV0001\t1\tsampled\t\r"}) {
        INFO(line);
        const auto parsed = parse_ledger_line(line);
        REQUIRE(parsed.has_error());
        CHECK(parsed.error() == Errc::bad_ledger_line);
    }
    CHECK(parse_ledger_line(std::string(ledger_line_bytes_max + 1, '1')).has_error());
}

TEST_CASE(
    "ledger reader: a file cut into any two pieces gives the same entries",
    "[ledger_entry]"
) {
    std::string file = std::string{ledger_header} + '\n';
    for (const auto state : {LedgerState::sampled, LedgerState::published}) {
        append_ledger_line(entry_of(state), file);
    }
    for (std::size_t cut = 0; cut <= file.size(); ++cut) {
        INFO(cut);
        LedgerReader reader;
        std::vector<LedgerState> states;
        const auto note = [&states](const LedgerEntry& entry) {
            CHECK(entry.vehicle == "V0001");
            CHECK(entry.seq == 17);
            states.push_back(entry.state);
        };
        REQUIRE(reader.feed(std::string_view{file}.substr(0, cut), note).has_value());
        REQUIRE(reader.feed(std::string_view{file}.substr(cut), note).has_value());
        CHECK(states == std::vector{LedgerState::sampled, LedgerState::published});
        CHECK(reader.torn_bytes() == 0);
        CHECK(reader.line() == 3);
    }
}

TEST_CASE("ledger reader: a torn last line does not count, wherever it is torn", "[ledger_entry]") {
    std::string file = std::string{ledger_header} + '\n';
    append_ledger_line(entry_of(LedgerState::sampled), file);
    const std::size_t whole = file.size();
    append_ledger_line(entry_of(LedgerState::acknowledged), file);
    for (std::size_t length = 0; length < file.size(); ++length) {
        INFO(length);
        LedgerReader reader;
        int entries = 0;
        const auto fed = reader.feed(std::string_view{file}.substr(0, length), [&](const auto&) {
            ++entries;
        });
        REQUIRE(fed.has_value());
        CHECK(entries == (length >= whole ? 1 : 0));
    }
}

TEST_CASE("ledger reader: two ledgers joined end to end are one", "[ledger_entry]") {
    std::string file = std::string{ledger_header} + '\n';
    append_ledger_line(entry_of(LedgerState::sampled), file);
    LedgerReader reader;
    int entries = 0;
    REQUIRE(reader.feed(file + file, [&](const auto&) { ++entries; }).has_value());
    CHECK(entries == 2);
}

TEST_CASE(
    "ledger reader: another file, a bad line and an endless one are errors",
    "[ledger_entry]"
) {
    const auto ignore = [](const LedgerEntry&) {
    };
    const std::string header = std::string{ledger_header} + '\n';
    LedgerReader other;
    CHECK(other.feed("milepost-ledger 2\n", ignore).error() == Errc::not_a_ledger);
    LedgerReader bad;
    CHECK(bad.feed(header + "1\tV1\t1\tsampled\t\nx\n", ignore).error() == Errc::bad_ledger_line);
    CHECK(bad.line() == 3);
    LedgerReader endless;
    CHECK(
        endless.feed(header + std::string(ledger_line_bytes_max + 1, 'x'), ignore).error() ==
        Errc::bad_ledger_line
    );
    LedgerReader binary;
    CHECK(binary.feed(std::string(10'000, '\0'), ignore).error() == Errc::not_a_ledger);
}
