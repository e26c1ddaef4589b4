#include "storage/log/disk_log.hpp"
#include "tests/support/forgetful_disk.hpp"
#include "tests/support/log_parts.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/wait_until.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

// Groups that the committer's own thread writes.
namespace milepost::storage {

namespace {

constexpr auto limit = std::chrono::seconds{10};

// Does what the test wants when acks come.
class CallingListener final : public GroupListener {
public:
    void on_durable(std::span<const AckToken> tokens) override {
        for (const AckToken& token : tokens)
            acked.push_back(token.packet_id);
        if (then) then();
    }

    void on_intake(IntakeState) override {}

    std::vector<std::uint16_t> acked;
    std::function<void()> then;
};

class Flying {
public:
    Flying() {
        LogConfig config;
        config.data_dir = "/data";
        config.ring_bytes = ring_bytes_min;
        config.limit_bytes = log_limit_bytes_min * 16;
        config.segment_bytes = 64 * kib;
        config.committer = CommitterThread::always_own;
        RecoveryReport report;
        auto opened = DiskLog::open_for_writing(
            config,
            {.files = disk,
             .keeper = keeper,
             .listener = listener,
             .post =
                 [this](std::function<void()> function) {
                     posts.post(std::move(function));
                 }},
            report
        );
        REQUIRE(opened);
        log = std::move(*opened);
        partition = log->ensure_topic("t", 1).value()[0];
    }

    void put(std::uint16_t id) {
        REQUIRE(log->append(partition, test::record("k", std::to_string(id)), test::token(id)));
        log->commit();
    }

    test::ForgetfulDisk disk;
    test::RecordingKeeper keeper;
    CallingListener listener;
    test::PostQueue posts;
    std::unique_ptr<DiskLog> log;
    PartitionId partition{};
};

}  // namespace

TEST_CASE("flight: the disk has the next group while the acks of the last go out", "[flight]") {
    Flying f;
    bool is_next_durable = false;
    f.listener.then = [&] {
        if (f.listener.acked.size() > 1) return;
        is_next_durable = test::wait_until(
            [&] { return f.log->positions(f.partition).durable == Offset{2}; },
            limit
        );
    };
    f.put(1);
    f.put(2);  // asked for while the first flies
    f.posts.run_until([&] { return f.listener.acked.size() == 2; });
    CHECK(is_next_durable);
    CHECK(f.listener.acked == std::vector<std::uint16_t>{1, 2});
}

TEST_CASE("flight: it is told up to and with the acks of its group", "[flight]") {
    Flying f;
    CHECK_FALSE(f.log->flight());
    std::optional<Duration> told;
    f.listener.then = [&] {
        told = f.log->flight();
    };
    f.put(1);
    CHECK(f.log->flight());
    f.posts.run_until([&] { return !f.listener.acked.empty(); });
    CHECK(told);
    CHECK_FALSE(f.log->flight());
}

TEST_CASE("flight: what is committed while acks go out is written after them", "[flight]") {
    Flying f;
    f.listener.then = [&] {
        if (f.listener.acked.size() == 1) f.put(2);
    };
    f.put(1);
    f.posts.run_until([&] { return f.listener.acked.size() == 2; });
    CHECK(f.listener.acked == std::vector<std::uint16_t>{1, 2});
    REQUIRE(f.log->close());
}

TEST_CASE("flight: a full ring stops it, and the acks of what is durable go out", "[flight]") {
    Flying f;
    const std::string value(20'000, 'x');
    std::uint16_t put = 0;
    while (put < 60) {
        if (f.log->append(f.partition, test::record("k", value), test::token(put + 1))) ++put;
        f.log->commit();
        if (f.log->flight()) f.posts.run_one();
    }
    f.posts.run_until([&] {
        f.log->commit();
        return f.listener.acked.size() == put;
    });
    for (std::size_t i = 0; i < f.listener.acked.size(); ++i)
        REQUIRE(f.listener.acked[i] == i + 1);
    REQUIRE(f.log->close());
}

}  // namespace milepost::storage
