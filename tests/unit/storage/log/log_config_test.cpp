#include "storage/log/log_config.hpp"

#include "storage/log/errc.hpp"
#include "tests/support/matchers.hpp"

#include <catch2/catch.hpp>

namespace milepost::storage {

namespace {

constexpr Machine roomy{.memory_bytes = 8 * gib, .disk_bytes = 100 * gib};

}  // namespace

TEST_CASE(
    "log config: the defaults are a 64 MiB ring and 80 % of the disk with the reserve",
    "[config]"
) {
    const auto config = work_out({}, roomy).value();
    CHECK(config.ring_bytes == 64 * mib);
    CHECK(config.limit_bytes + reserve_bytes(config) <= 80 * gib);
    CHECK(config.limit_bytes + reserve_bytes(config) > 79 * gib);
    CHECK(config.group_bytes == 4 * mib);
    CHECK(config.record_bytes == 1'000'000);
}

TEST_CASE("log config: little memory takes a smaller ring", "[config]") {
    const auto config = work_out({}, {.memory_bytes = gib / 2, .disk_bytes = 100 * gib}).value();
    CHECK(config.ring_bytes == 16 * mib);
}

TEST_CASE("log config: everything shrinks with the smallest log", "[config]") {
    LogConfig small;
    small.limit_bytes = log_limit_bytes_min;
    const auto config = work_out(small, roomy).value();
    CHECK(config.ring_bytes == ring_bytes_min);
    CHECK(config.segment_bytes == 512 * kib);
    CHECK(config.group_bytes == 64 * kib);
    CHECK(config.record_bytes == 32 * kib);
}

TEST_CASE("log config: a record that fits no group is refused", "[config]") {
    LogConfig bad;
    bad.group_bytes = 64 * kib;
    bad.record_bytes = 64 * kib;
    CHECK(work_out(bad, roomy).error() == LogErrc::bad_config);
}

}  // namespace milepost::storage
