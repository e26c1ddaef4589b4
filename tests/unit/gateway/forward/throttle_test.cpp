#include "gateway/forward/throttle.hpp"

#include "gateway/forward/rate_limit.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>

using namespace milepost;
using milepost::forward::RateLimit;
using milepost::forward::Throttle;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

constexpr Instant begin{seconds{1000}};

// `seconds_long` of sending `bytes_per_s`, in steps of a tenth of a second; the moment it ends.
Instant send(Throttle& throttle, Instant from, int seconds_long, std::uint64_t bytes_per_s) {
    for (int i = 0; i < seconds_long * 10; ++i) {
        throttle.sent(from + i * milliseconds{100}, bytes_per_s / 10);
    }
    return from + seconds{seconds_long};
}

}  // namespace

TEST_CASE("throttle: without a complaint nothing is limited", "[forward]") {
    Throttle throttle;
    const Instant now = send(throttle, begin, 5, 1'000'000);
    CHECK(throttle.bytes_per_s(now) == 0);
    CHECK_FALSE(throttle.is_recent(now));
}

TEST_CASE("throttle: a complaint halves what was sent", "[forward]") {
    Throttle throttle;
    const Instant now = send(throttle, begin, 5, 1'000'000);
    throttle.throttled(now, milliseconds{200});
    CHECK(throttle.bytes_per_s(now) == Approx(500'000).epsilon(0.02));
    CHECK(throttle.is_recent(now));
    SECTION("once for all answers to what was sent before") {
        throttle.throttled(now + milliseconds{100}, milliseconds{200});
        throttle.throttled(now + milliseconds{900}, milliseconds{200});
        CHECK(throttle.bytes_per_s(now + milliseconds{900}) == Approx(500'000).epsilon(0.02));
    }
    SECTION("and the next one halves again") {
        const Instant later = send(throttle, now, 1, 500'000) + milliseconds{100};
        throttle.throttled(later, milliseconds{200});
        CHECK(throttle.bytes_per_s(later) == Approx(250'000).epsilon(0.15));
    }
    SECTION("down to the least that keeps it going") {
        Instant later = now;
        for (int i = 0; i < 100; ++i) {
            later += seconds{2};
            throttle.throttled(later, milliseconds{200});
        }
        CHECK(throttle.bytes_per_s(later) == Throttle::least);
    }
}

TEST_CASE("throttle: a client that is held for long is not halved meanwhile", "[forward]") {
    Throttle throttle;
    const Instant now = send(throttle, begin, 5, 1'000'000);
    throttle.throttled(now, seconds{8});
    throttle.throttled(now + seconds{7}, seconds{8});
    CHECK(throttle.bytes_per_s(now + seconds{7}) == Approx(500'000).epsilon(0.02));
}

TEST_CASE("throttle: while nobody complains it rises, and after a minute it is over", "[forward]") {
    Throttle throttle;
    const Instant now = send(throttle, begin, 5, 1'000'000);
    throttle.throttled(now, milliseconds{200});
    std::uint64_t before = throttle.bytes_per_s(now);
    for (int second = 2; second < 30; ++second) {
        const auto after = throttle.bytes_per_s(now + seconds{second});
        CHECK(after > before);
        before = after;
    }
    CHECK_FALSE(throttle.is_recent(now + seconds{10}));
    CHECK(throttle.bytes_per_s(now + minutes{1} + milliseconds{1}) == 0);
}

TEST_CASE("throttle: it settles at a quota and uses most of it", "[forward]") {
    constexpr std::uint64_t quota = 100'000;
    Throttle throttle;
    RateLimit rate{{}};
    Instant now = begin;
    double over = 0;  // what was sent beyond the quota, as a broker counts
    std::uint64_t sent_late = 0;
    int complaints_late = 0;
    constexpr auto step = milliseconds{10};
    constexpr auto whole = minutes{4};
    for (Duration at{}; at < whole; at += step, now += step) {
        over = std::max(0.0, over - static_cast<double>(quota) * 0.01);
        rate.bound(throttle.bytes_per_s(now));
        while (rate.wait(now) == Duration::zero()) {
            constexpr std::uint64_t record = 1000;
            rate.sent(1, record);
            throttle.sent(now, record);
            over += record;
            if (at > whole / 2) sent_late += record;
            if (over > quota) {  // a second's worth
                if (at > whole / 2) ++complaints_late;
                throttle.throttled(now, milliseconds{500});
                break;
            }
        }
    }
    const double per_second = static_cast<double>(sent_late) / 120;
    CHECK(per_second > 0.6 * quota);
    CHECK(per_second < 1.1 * quota);
    CHECK(complaints_late < 60);
}
