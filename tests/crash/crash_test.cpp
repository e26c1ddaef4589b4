#include "tests/crash/crash_world.hpp"

#include <catch2/catch.hpp>

namespace milepost::test {

namespace {

std::optional<std::string> first_violation(CrashOptions options, std::uint64_t seeds) {
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        options.seed = seed;
        CrashWorld world{options};
        if (auto violation = world.run()) return violation;
    }
    return std::nullopt;
}

}  // namespace

TEST_CASE("crash: power cuts, kills and disk errors at any call lose nothing", "[crash]") {
    const auto violation = first_violation({}, 250);
    CAPTURE(violation.value_or("none"));
    CHECK_FALSE(violation.has_value());
}

TEST_CASE("crash: the alarm works when the journal's sync does nothing", "[crash]") {
    CHECK(first_violation({.disk_faults = false, .lies = DiskCall::overwrite}, 20).has_value());
}

TEST_CASE("crash: the alarm works when segments are not synced", "[crash]") {
    CHECK(first_violation({.disk_faults = false, .lies = DiskCall::sync}, 20).has_value());
}

TEST_CASE("crash: the alarm works when names are not synced", "[crash]") {
    CHECK(first_violation({.disk_faults = false, .lies = DiskCall::sync_directory}, 20).has_value()
    );
}

}  // namespace milepost::test
