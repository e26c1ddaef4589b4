#include "tests/crash/crash_world.hpp"

#include <catch2/catch.hpp>

namespace milepost::test {

using namespace storage;

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

TEST_CASE(
    "crash: names that a killed process left unsynced are synced at the next start",
    "[crash]"
) {
    LogConfig config;
    config.data_dir = "/data";
    config.ring_bytes = ring_bytes_min;
    config.limit_bytes = 1024 * mib;
    config.background = false;
    // The names of a new log: journal/ring-00000001, journal, data.
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        ForgetfulDisk disk{seed};
        RecordingKeeper keeper;
        RecordingListener listener;
        const Log::Wiring wiring{.files = disk, .keeper = keeper, .listener = listener, .post = {}};
        RecoveryReport report;
        disk.crash_at(DiskCall::sync_directory, 1 + seed % 3);
        REQUIRE_FALSE(DiskLog::open_for_writing(config, wiring, report).has_value());
        disk.kill_process();
        {
            auto log = DiskLog::open_for_writing(config, wiring, report).value();
            const auto id = log->ensure_topic("t", 1).value().front();
            REQUIRE(log->append(id, record("k", "v"), token(1)).has_value());
            log->commit();
            REQUIRE(listener.acked == std::vector<std::uint16_t>{1});
        }
        disk.power_cut();
        auto log = DiskLog::open_for_writing(config, wiring, report).value();
        const auto id = log->ensure_topic("t", 1).value().front();
        CHECK(log->positions(id).durable == Offset{1});
    }
}

}  // namespace milepost::test
