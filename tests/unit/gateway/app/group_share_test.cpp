#include "gateway/group_share.hpp"

#include <catch2/catch.hpp>

#include <chrono>

namespace milepost {

using std::chrono::milliseconds;

TEST_CASE("group share: groups that are not held may be large", "[group_share]") {
    GroupShare share;
    CHECK(share.bytes() == GroupShare::bytes_max);
    share.committed(256 * kib, milliseconds{1});
    CHECK(share.bytes() == GroupShare::bytes_max);
    share.committed(256 * kib, milliseconds{-5});
    CHECK(share.bytes() == GroupShare::bytes_max);
}

TEST_CASE("group share: as much as is held for a millisecond", "[group_share]") {
    GroupShare share;
    share.committed(256 * kib, milliseconds{4});
    CHECK(share.bytes() == 64 * kib);
    // The same rate, a smaller group: the next may be as large.
    share.committed(64 * kib, milliseconds{1});
    share.committed(128 * kib, milliseconds{2});
    CHECK(share.bytes() == 64 * kib);
}

TEST_CASE("group share: never less than pays for a sync, nor more than at first", "[group_share]") {
    GroupShare share;
    share.committed(256 * kib, milliseconds{500});
    CHECK(share.bytes() == GroupShare::bytes_min);
    share.committed(2048 * kib, milliseconds{2});
    CHECK(share.bytes() == GroupShare::bytes_max);
    share.committed(256 * kib, milliseconds{500});
    share.committed(32 * kib, milliseconds{0});
    CHECK(share.bytes() == GroupShare::bytes_max);
}

}  // namespace milepost
