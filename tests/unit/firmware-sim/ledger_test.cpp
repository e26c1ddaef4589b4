#include "firmware-sim/ledger.hpp"

#include "sensors/errc.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <fstream>
#include <sstream>
#include <string>

using namespace milepost;
using namespace milepost::fleet;
using namespace std::chrono_literals;

namespace {

std::string content(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

sensors::LedgerEntry entry_of(const std::string& vehicle, std::uint64_t seq) {
    return {
        .time = Timestamp{5},
        .vehicle = vehicle,
        .seq = seq,
        .state = sensors::LedgerState::sampled,
        .reason = {},
    };
}

const std::string header = std::string{sensors::ledger_header} + '\n';

}  // namespace

TEST_CASE("ledger: a new one has its header at once, lines when they are due", "[fleet ledger]") {
    const test::TempDir dir;
    const std::string path = dir.path() / "ledger";
    auto ledger = Ledger::open(path);
    REQUIRE(ledger.has_value());
    CHECK(content(path) == header);
    CHECK(ledger->next_flush() == Instant::max());
    const Instant now{1h};
    ledger->add(entry_of("V1", 1));
    REQUIRE(ledger->flush_if_due(now).has_value());
    CHECK(content(path) == header + "5\tV1\t1\tsampled\t\n");
    ledger->add(entry_of("V1", 2));
    CHECK(ledger->next_flush() == now + Ledger::flush_every);
    REQUIRE(ledger->flush_if_due(now + Ledger::flush_every - 1ms).has_value());
    CHECK(content(path).find("\t2\t") == std::string::npos);
    REQUIRE(ledger->flush_if_due(now + Ledger::flush_every).has_value());
    CHECK(content(path).find("\t2\t") != std::string::npos);
}

TEST_CASE("ledger: it is whole when it is closed", "[fleet ledger]") {
    const test::TempDir dir;
    const std::string path = dir.path() / "ledger";
    {
        auto ledger = Ledger::open(path);
        REQUIRE(ledger.has_value());
        ledger->add(entry_of("V1", 1));
        const Ledger moved = std::move(*ledger);
    }
    CHECK(content(path) == header + "5\tV1\t1\tsampled\t\n");
}

TEST_CASE(
    "ledger: one that exists is continued, its torn line cut, its numbers known",
    "[fleet ledger]"
) {
    const test::TempDir dir;
    const std::string path = dir.path() / "ledger";
    const std::string whole = header + "5\tV1\t7\tsampled\t\n5\tV1\t6\tsampled\t\n";
    std::ofstream{path} << whole << "5\tV1\t99\tsam";
    {
        auto ledger = Ledger::open(path);
        REQUIRE(ledger.has_value());
        CHECK(ledger->last_seq("V1") == 7);
        CHECK(ledger->last_seq("V2") == 0);
        CHECK(content(path) == whole);
        ledger->add(entry_of("V2", 1));
    }
    CHECK(content(path) == whole + "5\tV2\t1\tsampled\t\n");
}

TEST_CASE("ledger: a torn header is made whole", "[fleet ledger]") {
    const test::TempDir dir;
    const std::string path = dir.path() / "ledger";
    std::ofstream{path} << header.substr(0, 5);
    REQUIRE(Ledger::open(path).has_value());
    CHECK(content(path) == header);
}

TEST_CASE(
    "ledger: a foreign file, a taken one and an impossible one are refused",
    "[fleet ledger]"
) {
    const test::TempDir dir;
    const std::string path = dir.path() / "ledger";
    std::ofstream{path} << "something else\n";
    CHECK(Ledger::open(path).error() == sensors::Errc::not_a_ledger);
    CHECK(content(path) == "something else\n");
    const std::string taken = dir.path() / "taken";
    const auto first = Ledger::open(taken);
    REQUIRE(first.has_value());
    CHECK(Ledger::open(taken).has_error());
    CHECK(Ledger::open(dir.path() / "no" / "such").has_error());
}
