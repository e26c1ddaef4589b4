#include "storage/base/this_thread.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <ctime>
#include <thread>

namespace milepost {

namespace {

using namespace std::chrono_literals;

constexpr int reset_on_fork = 0x40000000;  // SCHED_RESET_ON_FORK

int policy() {
    return ::sched_getscheduler(0) & ~reset_on_fork;
}

Duration processor_time() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

void take(Duration time) {
    const Duration until = processor_time() + time;
    while (processor_time() < until) {
    }
}

// What a thread asks for stays with it: so each test has one.
template <typename Work>
void on_a_thread(Work work) {
    std::thread{work}.join();
}

bool is_real_time_permitted() {
    bool is_permitted = false;
    on_a_thread([&] { is_permitted = this_thread::Foreground{true}.is_real_time(); });
    if (!is_permitted) WARN("real time is not permitted here: nothing is tested");
    return is_permitted;
}

}  // namespace

TEST_CASE("foreground: who does not want real time shares, and is told so", "[this_thread]") {
    on_a_thread([] {
        this_thread::Foreground foreground{false};
        CHECK_FALSE(foreground.is_real_time());
        CHECK(policy() == SCHED_OTHER);
        foreground.look(monotonic_now() + 1h);
        CHECK(policy() == SCHED_OTHER);
    });
}

TEST_CASE("foreground: in real time for as long as it takes little of a core", "[this_thread]") {
    if (!is_real_time_permitted()) return;
    on_a_thread([] {
        const Instant begin = monotonic_now();
        this_thread::Foreground foreground{true};
        CHECK(policy() == SCHED_RR);

        // The clock of the test: what is taken is real, what passes is said.
        take(30ms);
        foreground.look(begin + 19ms);
        CHECK(policy() == SCHED_RR);  // too early to say
        foreground.look(begin + 35ms);
        CHECK(policy() == SCHED_OTHER);
        CHECK_FALSE(foreground.is_real_time());

        foreground.look(begin + 1034ms);
        CHECK(policy() == SCHED_OTHER);  // a second's rest
        foreground.look(begin + 1036ms);
        CHECK(policy() == SCHED_RR);

        take(5ms);
        foreground.look(begin + 1060ms);
        CHECK(policy() == SCHED_RR);
    });
}

TEST_CASE("foreground: afterwards the thread has its share", "[this_thread]") {
    if (!is_real_time_permitted()) return;
    on_a_thread([] {
        {
            const this_thread::Foreground foreground{true};
            CHECK(policy() == SCHED_RR);
        }
        CHECK(policy() == SCHED_OTHER);
    });
}

TEST_CASE("foreground: a thread that it starts is as any other", "[this_thread]") {
    if (!is_real_time_permitted()) return;
    on_a_thread([] {
        const this_thread::Foreground foreground{true};
        on_a_thread([] {
            CHECK(policy() == SCHED_OTHER);
            CHECK(::getpriority(PRIO_PROCESS, 0) >= 0);
        });
        CHECK(policy() == SCHED_RR);
    });
}

TEST_CASE("foreground: a policy that somebody chose stays", "[this_thread]") {
    on_a_thread([] {
        const sched_param none{};
        REQUIRE(::sched_setscheduler(0, SCHED_BATCH, &none) == 0);
        const this_thread::Foreground foreground{true};
        CHECK_FALSE(foreground.is_real_time());
        CHECK(policy() == SCHED_BATCH);
    });
}

TEST_CASE("step aside: what it asks for is inherited", "[this_thread]") {
    on_a_thread([] {
        this_thread::step_aside();
        on_a_thread([] { CHECK(policy() == SCHED_BATCH); });
    });
}

}  // namespace milepost
