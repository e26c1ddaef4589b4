#include "firmware-sim/progress.hpp"

#include <catch2/catch.hpp>

#include <chrono>

using namespace milepost;
using namespace milepost::fleet;
using namespace std::chrono_literals;

namespace {

constexpr Instant start{1h};

Tally two_vehicles() {
    Tally tally;
    tally.vehicles = 2;
    return tally;
}

}  // namespace

TEST_CASE("progress: a quiet fleet says nothing, ever", "[progress]") {
    Progress progress{Progress::Style::none, false};
    CHECK(progress.show(two_vehicles(), 1, start).empty());
    CHECK(progress.next() == Instant::max());
    CHECK(progress.end().empty());
}

TEST_CASE("progress: without a terminal only changes are said, one a second", "[progress]") {
    Progress progress{Progress::Style::lines, false};
    CHECK(progress.show(two_vehicles(), 0, start).empty());
    CHECK(progress.show(two_vehicles(), 2, start + 999ms).empty());
    const auto said = progress.show(two_vehicles(), 2, start + 1s);
    CHECK(said == "milepost-fleet: 2 of 2 vehicles connected, 0 readings outstanding\n");
    CHECK(progress.show(two_vehicles(), 2, start + 3s).empty());
}

TEST_CASE("progress: on a terminal one line is rewritten, coloured only if wanted", "[progress]") {
    Progress plain{Progress::Style::terminal, false};
    const auto text = plain.show(two_vehicles(), 1, start);
    CHECK(text.front() == '\r');
    CHECK(text.find('\n') == std::string::npos);
    CHECK(text.find("\033[3") == std::string::npos);
    CHECK(plain.end() == "\n");
    CHECK(plain.say("a line\n") == "\r\033[Ka line\n");
    CHECK(Progress{Progress::Style::none, false}.say("a line\n").empty());
    Progress coloured{Progress::Style::terminal, true};
    CHECK(coloured.show(two_vehicles(), 1, start).find("\033[33m") != std::string::npos);
}
