#include "storage/log/read_pacer.hpp"

#include <catch2/catch.hpp>

using namespace milepost;
using namespace milepost::storage;

TEST_CASE("read pacer: alone a reader asks for much, beside commits for little", "[segment]") {
    Counter groups;
    Gauge pending;
    ReadPacer pacer{groups, pending};
    CHECK(pacer.wait_for_turn() == ReadPacer::alone_bytes);
    groups.add();
    CHECK(pacer.wait_for_turn() == ReadPacer::beside_commits_bytes);
    CHECK(pacer.wait_for_turn() == ReadPacer::alone_bytes);
}

TEST_CASE("read pacer: a commit that hangs keeps nobody from reading", "[segment]") {
    Counter groups;
    Gauge pending;
    pending.set(1);
    ReadPacer pacer{groups, pending};
    for (int i = 0; i < 3; ++i)
        CHECK(pacer.wait_for_turn() == ReadPacer::beside_commits_bytes);
    pending.set(0);
    CHECK(pacer.wait_for_turn() == ReadPacer::alone_bytes);
}
