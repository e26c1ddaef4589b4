#include "firmware-sim/scenario.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace milepost;
using namespace milepost::fleet;
using namespace std::chrono_literals;

namespace {

Scenario scenario_of(const std::string& text) {
    auto parsed = Scenario::parse(text, "f");
    if (const auto* const error = std::get_if<InputError>(&parsed)) FAIL(error->what);
    return std::get<Scenario>(std::move(parsed));
}

std::string error_of(const std::string& text) {
    const auto parsed = Scenario::parse(text, "f");
    REQUIRE(std::holds_alternative<InputError>(parsed));
    return std::get<InputError>(parsed).what;
}

std::vector<std::uint32_t> selected(const std::string& text, std::uint32_t count) {
    const auto selection = Selection::parse(text);
    REQUIRE(selection.has_value());
    std::vector<std::uint32_t> numbers;
    for (std::uint32_t i = 0; i < count; ++i) {
        if (selection->includes(i, count)) numbers.push_back(i + 1);
    }
    return numbers;
}

}  // namespace

TEST_CASE("scenario: vehicles are selected by number and by share", "[scenario]") {
    using Numbers = std::vector<std::uint32_t>;
    CHECK(selected("all", 3) == Numbers{1, 2, 3});
    CHECK(selected("2", 3) == Numbers{2});
    CHECK(selected("2-3,5", 5) == Numbers{2, 3, 5});
    CHECK(selected("50%", 4) == Numbers{1, 2});
    CHECK(selected("50-75%", 4) == Numbers{3});
    CHECK(selected("50-100%", 4) == Numbers{3, 4});
    CHECK(selected("7", 3).empty());
    for (const std::string text :
         {"", "0", "1.5", "3-2", "101%", "60-50%", "x", "1,", "1-", "-1"}) {
        INFO(text);
        CHECK_FALSE(Selection::parse(text).has_value());
    }
}

TEST_CASE("scenario: steps come in the order of their time, repeats among them", "[scenario]") {
    const Scenario scenario = scenario_of(R"(
        [[step]]
        at = "10s"
        every = "10s"
        times = 3
        connection = "storm"
        [[step]]
        at = "20s"
        reboot = "2s"
        [[step]]
        at = "5s"
        spike = "Vehicle.Speed"
        share = 0.25
    )");
    std::vector<std::pair<std::chrono::milliseconds, ActionKind>> seen;
    for (const auto& step : scenario.steps())
        seen.emplace_back(step.at, step.action.kind);
    using enum ActionKind;
    using Seen = std::vector<std::pair<std::chrono::milliseconds, ActionKind>>;
    CHECK(seen == Seen{{5s, spike}, {10s, cut}, {20s, cut}, {20s, reboot}, {30s, cut}});
    CHECK(scenario.steps()[0].action.number == 0.25);
    CHECK(scenario.steps()[3].action.off == 2s);
}

TEST_CASE("scenario: a profile of the file goes before a shipped one", "[scenario]") {
    const Scenario scenario = scenario_of(R"(
        [[step]]
        at = "0s"
        radio = "city"
        [[step]]
        at = "1s"
        radio = "tunnel"
        [radio.city]
        delay = ["1s", "2s"]
        covered = ["10s", "20s"]
        gone = ["1s", "1s"]
        loss = 0.5
    )");
    const RadioProfile& own = *scenario.steps()[0].action.profile;
    CHECK(own.delay.max == 2s);
    CHECK(own.loss == 0.5);
    CHECK(scenario.steps()[1].action.profile->is_never_covered());
}

TEST_CASE("scenario: it says what fleet it wants", "[scenario]") {
    const Scenario scenario = scenario_of(R"(
        title = "x"
        [fleet]
        vehicles = 7
        rate = 2
        own_rates = false
        duration = "5m"
        buffer = 9
        flash = 3
        rtc = false
        drive_cycle = "nedc"
        firmware = ["2.0.0", "1.4.0"]
    )");
    const ScenarioFleet& fleet = scenario.fleet();
    CHECK(fleet.vehicles == 7);
    CHECK(fleet.rate == 2.0);
    CHECK(fleet.duration == 5min);
    CHECK(fleet.has_rtc == false);
    CHECK(fleet.drive_cycle == "nedc");
    REQUIRE(fleet.firmware.size() == 2);
    CHECK(fleet.firmware[0]->payload_version == 2);
}

TEST_CASE("scenario: what is wrong is told with its place", "[scenario]") {
    const auto step = [](const std::string& lines) {
        return "[[step]]\n" + lines;
    };
    CHECK(error_of("x").substr(0, 4) == "f:1:");
    CHECK(error_of("speed = 1") == "f:1:9: there is no `speed`");
    CHECK(error_of("[fleet]\nspeed = 1") == "f:2:9: there is no `fleet.speed`");
    CHECK(error_of("[fleet]\nvehicles = 0") == "f:2:12: is not a whole number from 1 to 10000");
    CHECK(error_of("[fleet]\nfirmware = [\"9\"]") == "f:2:13: there is no such release");
    CHECK(error_of("fleet = 1") == "f:1:9: is not a table");
    CHECK(error_of("step = 1") == "f:1:8: is not a list: write [[step]]");
    CHECK(error_of(step("radio = \"city\"")) == "f:1:1: has no `at`");
    CHECK(error_of(step("at = \"1s\"")) == "f:1:1: a step that does nothing");
    CHECK(error_of(step("at = 1\nreboot = \"1s\"")) == "f:2:6: is not a text");
    CHECK(
        error_of(step("at = \"soon\"\nreboot = \"1s\"")) ==
        "f:2:6: is not a duration such as \"30s\", \"5m\" or \"500ms\""
    );
    const std::string at = "at = \"1s\"\n";
    CHECK(error_of(step(at + "fly = \"away\"")) == "f:3:7: a step cannot `fly`");
    CHECK(error_of(step(at + "radio = \"moon\"")) == "f:3:9: there is no such radio profile");
    CHECK(error_of(step(at + "stuck = \"Vehicle\"")) == "f:3:9: there is no such sensor");
    CHECK(error_of(step(at + "ignition = \"maybe\"")) == "f:3:12: is neither on nor off");
    CHECK(
        error_of(step(at + "ignition = \"on\"\nclock = \"set\"")).find("a step does one thing") !=
        std::string::npos
    );
    CHECK(
        error_of(step(at + "ignition = \"on\"\noff = \"1s\"")) == "f:4:7: `off` belongs to `update`"
    );
    CHECK(error_of(step(at + "every = \"1s\"\nreboot = \"1s\"")) == "f:1:1: `every` needs `times`");
    CHECK(
        error_of(
            step(at + "every = \"1s\"\ntimes = 10000\nreboot = \"1s\"\n") +
            step(at + "reboot = \"1s\"")
        ) == "f:6:1: too many steps"
    );
    CHECK(
        error_of(step(at + "vehicles = \"none\"\nreboot = \"1s\"")) ==
        "f:3:12: is not all, 7, 1-10, 25% or 50-100%"
    );
    CHECK(error_of("[radio.x]\ngone = [\"1ms\", \"1s\"]") == "f:1:1: `gone` is shorter than 100ms");
    CHECK(error_of("[radio.x]\ndelay = [\"2s\", \"1s\"]") == "f:2:9: ends before it begins");
    CHECK(error_of("[radio.x]\nloss = 1") == "f:2:8: is not a number from 0 to 0.9");
}
