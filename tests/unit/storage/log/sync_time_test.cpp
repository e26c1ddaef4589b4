#include "storage/log/sync_time.hpp"

#include <catch2/catch.hpp>

#include <chrono>

namespace milepost::storage {

using namespace std::chrono_literals;

TEST_CASE("sync time: the first one is taken as it is", "[sync_time]") {
    SyncTime time;
    CHECK(time.value() == 0ns);
    time.note(20ms);
    CHECK(time.value() == 20ms);
}

TEST_CASE("sync time: a single sync that took long hardly moves it", "[sync_time]") {
    SyncTime time;
    time.note(200us);
    time.note(1s);
    CHECK(time.value() == 250us);
    for (int i = 0; i < 30; ++i)
        time.note(200us);
    CHECK(time.value() < 202us);
}

TEST_CASE("sync time: syncs that take long on end become what is usual", "[sync_time]") {
    SyncTime time;
    time.note(200us);
    int count = 0;
    while (time.value() < 1ms) {
        time.note(20ms);
        ++count;
    }
    CHECK(count == 8);
    for (int i = 0; i < 50; ++i)
        time.note(20ms);
    CHECK(time.value() > 19ms);
    CHECK(time.value() <= 20ms);
}

TEST_CASE("sync time: it comes down as the disk becomes quick", "[sync_time]") {
    SyncTime time;
    time.note(20ms);
    int count = 0;
    while (time.value() > 700us) {
        time.note(200us);
        ++count;
    }
    CHECK(count < 30);
}

}  // namespace milepost::storage
