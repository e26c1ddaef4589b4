#include "storage/log/ring_pace.hpp"

#include "storage/base/units.hpp"
#include "storage/log/disk_log.hpp"
#include "tests/support/forgetful_disk.hpp"
#include "tests/support/log_parts.hpp"
#include "tests/support/matchers.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace milepost::storage {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr Instant start{seconds{100}};

// One that has seen a checkpoint of 32 MiB take 160 ms: 5 ms a MiB.
std::unique_ptr<RingPace> experienced() {
    auto pace = std::make_unique<RingPace>();
    pace->checkpoint_begins(32 * mib, start - seconds{1});
    pace->checkpoint_ended(true, start - seconds{1} + milliseconds{160});
    return pace;
}

}  // namespace

TEST_CASE("ring pace: nothing is held while no checkpoint runs", "[ring_pace]") {
    const auto pace = experienced();
    pace->group_sealed(mib, mib, start);
    CHECK(pace->next() <= start);
}

TEST_CASE("ring pace: nothing is held before a checkpoint has ended", "[ring_pace]") {
    RingPace pace;
    pace.checkpoint_begins(32 * mib, start);
    pace.group_sealed(mib, mib, start);
    CHECK(pace.next() <= start);
}

TEST_CASE("ring pace: what is free lasts until the checkpoint ends", "[ring_pace]") {
    const auto pace = experienced();
    pace->checkpoint_begins(32 * mib, start);
    Instant now = start;
    int groups = 0;
    for (std::uint64_t free = 32 * mib; free > 4 * mib; free -= mib, ++groups) {
        pace->group_sealed(mib, free, now);
        CHECK(pace->next() - now < milliseconds{6});
        now = pace->next();
    }
    CHECK(groups == 28);
    CHECK(now - start > milliseconds{139});
    CHECK(now - start < milliseconds{141});
}

TEST_CASE("ring pace: a checkpoint that is late holds groups further apart", "[ring_pace]") {
    const auto pace = experienced();
    pace->checkpoint_begins(32 * mib, start);
    const Instant late = start + seconds{1};
    pace->group_sealed(mib, 16 * mib, late);
    CHECK(pace->next() - late == std::chrono::microseconds{160'000 / 8 / 16});
    pace->group_sealed(mib, 0, late);
    CHECK(pace->next() - late == milliseconds{160} / 8);
}

TEST_CASE("ring pace: a small checkpoint does not make a large one seem long", "[ring_pace]") {
    const auto pace = experienced();
    pace->checkpoint_begins(6 * mib, start);
    pace->checkpoint_ended(true, start + milliseconds{266});
    pace->checkpoint_begins(32 * mib, start);
    pace->group_sealed(mib, 32 * mib, start);
    CHECK(pace->next() - start == milliseconds{5});
}

TEST_CASE("ring pace: only checkpoints that freed much tell how long one takes", "[ring_pace]") {
    const auto pace = experienced();
    pace->checkpoint_begins(32 * mib, start);
    pace->checkpoint_ended(false, start + seconds{50});
    pace->checkpoint_begins(4 * kib, start);
    pace->checkpoint_ended(true, start + seconds{50});
    pace->checkpoint_begins(32 * mib, start);
    pace->group_sealed(mib, 32 * mib, start);
    CHECK(pace->next() - start == milliseconds{5});
    // A quarter of what the next one says is learned.
    pace->checkpoint_ended(true, start + milliseconds{320});
    pace->checkpoint_begins(32 * mib, start);
    pace->group_sealed(mib, 32 * mib, start);
    CHECK(pace->next() - start == std::chrono::microseconds{6250});
}

namespace {

// Says when a checkpoint is under way.
class CallingKeeper final : public Keeper {
public:
    Result<void> fold(std::span<const SessionDelta>) override {
        if (during) during();
        return {};
    }

    Result<void> record(const Gap&) override { return {}; }

    std::function<void()> during;
};

}  // namespace

TEST_CASE("ring pace: a log asks for it while a checkpoint runs, and not after", "[ring_pace]") {
    test::ForgetfulDisk disk;
    CallingKeeper keeper;
    test::RecordingListener listener;
    LogConfig config;
    config.data_dir = "/data";
    config.ring_bytes = 8 * mib;
    config.limit_bytes = 256 * mib;
    config.committer = CommitterThread::always_inline;
    config.background = false;
    RecoveryReport report;
    auto opened = DiskLog::open_for_writing(
        config,
        {.files = disk, .keeper = keeper, .listener = listener, .post = {}},
        report
    );
    REQUIRE(opened);
    auto& log = *opened;
    const auto partition = log->ensure_topic("t", 1).value()[0];
    const std::string value(64 * kib, 'x');
    const auto put = [&] {
        REQUIRE(log->append(partition, test::record("k", value), test::token(1)));
        log->commit();
    };
    const auto checkpoint_of = [&](int groups) {
        for (int i = 0; i < groups; ++i)
            put();
        REQUIRE(log->append_session("client", as_bytes("state"), std::nullopt));
        log->commit();
        REQUIRE(log->checkpoint_now());
    };
    for (int i = 0; log->stats().ring_used_bytes.value() > 0 || i < 2; ++i) {
        REQUIRE(i < 100);
        checkpoint_of(20);
    }
    put();
    CHECK(log->paced_until() == Instant{});
    bool was_held = false;
    keeper.during = [&] {
        const Instant before = monotonic_now();
        put();
        was_held = log->paced_until() > before;
    };
    checkpoint_of(20);
    CHECK(was_held);
    keeper.during = {};
    put();
    CHECK(log->paced_until() == Instant{});
}

}  // namespace milepost::storage
