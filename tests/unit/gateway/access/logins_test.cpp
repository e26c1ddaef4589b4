#include "gateway/access/logins.hpp"

#include "tests/unit/gateway/access/cheap.hpp"

#include <catch2/catch.hpp>

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>

namespace milepost::access {

namespace {

constexpr Instant start{std::chrono::hours{1}};

PasswordFile file_of(const std::string& text) {
    return std::get<PasswordFile>(PasswordFile::parse(text));
}

std::string line_of(std::string_view user, std::string_view password) {
    return entry_line(user, make_entry(as_bytes(password), cheap).value()) + "\n";
}

// The owner's thread: the test's. Tasks come when it takes them.
struct Owner {
    explicit Owner(const LoginLimits& limits = {})
        : logins(
              limits,
              [this](auto task) {
                  const std::lock_guard guard{mutex};
                  tasks.push_back(std::move(task));
                  has_task.notify_one();
              },
              [this](std::uint64_t tag, Login login) { said[tag] = login; }
          ) {}

    Login check(
        const PasswordFile& file,
        std::string_view user,
        std::string_view password,
        std::uint64_t tag,
        Instant now = start
    ) {
        return logins.check(file, user, as_bytes(password), tag, now);
    }

    // Waits for one task and runs it.
    bool turn() {
        std::function<void()> task;
        {
            std::unique_lock lock{mutex};
            if (!has_task.wait_for(lock, limit, [this] { return !tasks.empty(); })) return false;
            task = std::move(tasks.front());
            tasks.pop_front();
        }
        task();
        return true;
    }

    std::mutex mutex;
    std::condition_variable has_task;
    std::deque<std::function<void()>> tasks;
    std::map<std::uint64_t, Login> said;
    Logins logins;  // last: its worker posts
};

}  // namespace

TEST_CASE("logins: what was right once is remembered, for its own file entry", "[access]") {
    Owner owner;
    const auto file = file_of(line_of("depot", "secret"));
    REQUIRE(owner.check(file, "depot", "secret", 1) == Login::pending);
    REQUIRE(owner.turn());
    CHECK(owner.said == std::map<std::uint64_t, Login>{{1, Login::right}});
    CHECK(owner.check(file, "depot", "secret", 2) == Login::right);
    CHECK(owner.logins.stats().verified.value() == 1);
    CHECK(owner.logins.stats().remembered.value() == 1);
    // The same password, set anew: another salt, another entry.
    const auto changed = file_of(line_of("depot", "secret"));
    CHECK(owner.check(changed, "depot", "secret", 3) == Login::pending);
    // The user is gone: unknown ones take their time and are wrong.
    const auto empty = file_of("");
    CHECK(owner.check(empty, "depot", "secret", 4) == Login::pending);
    REQUIRE(owner.turn());
    REQUIRE(owner.turn());
    CHECK(owner.said[3] == Login::right);
    CHECK(owner.said[4] == Login::wrong);
}

TEST_CASE("logins: what was wrong is refused unseen for a while", "[access]") {
    Owner owner;
    const auto file = file_of(line_of("depot", "secret"));
    REQUIRE(owner.check(file, "depot", "guess", 1) == Login::pending);
    REQUIRE(owner.turn());
    CHECK(owner.said[1] == Login::wrong);
    const Instant done = monotonic_now();
    CHECK(owner.check(file, "depot", "guess", 2, done + std::chrono::seconds{5}) == Login::wrong);
    CHECK(owner.check(file, "depot", "secret", 3, done) == Login::pending);
    CHECK(
        owner.check(file, "depot", "guess", 4, done + std::chrono::seconds{11}) == Login::pending
    );
    CHECK(owner.logins.stats().refused.value() == 2);
}

TEST_CASE("logins: a disabled user and a password beyond all bounds need no scrypt", "[access]") {
    Owner owner;
    const auto file = file_of("stolen:!\n" + line_of("depot", "secret"));
    CHECK(owner.check(file, "stolen", "secret", 1) == Login::disabled);
    CHECK(owner.check(file, "depot", std::string(password_bytes_max + 1, 'x'), 2) == Login::wrong);
    CHECK(owner.logins.stats().verified.value() == 0);
}

TEST_CASE("logins: a storm of the same login is one scrypt", "[access]") {
    Owner owner{{.queue_max = 1}};
    const auto file = file_of(line_of("depot", "secret"));
    for (std::uint64_t tag = 1; tag <= 1000; ++tag)
        REQUIRE(owner.check(file, "depot", "secret", tag) == Login::pending);
    owner.logins.cancel(500);
    REQUIRE(owner.turn());
    CHECK(owner.said.size() == Logins::answers_per_task_max);
    owner.logins.cancel(600);  // its answer is there already
    while (owner.said.size() < 998)
        REQUIRE(owner.turn());
    CHECK(owner.tasks.empty());
    CHECK_FALSE(owner.said.contains(500));
    CHECK_FALSE(owner.said.contains(600));
    CHECK(owner.logins.stats().verified.value() == 1);
}

TEST_CASE("logins: a full queue is told at once, a waiter that goes makes room", "[access]") {
    Owner owner{{.queue_max = 1}};
    const auto file = file_of(line_of("depot", "secret"));
    // The first may run already; of the rest one waits.
    std::uint64_t tag = 0;
    Login last = Login::pending;
    while (last == Login::pending && tag < 1000) {
        ++tag;
        last = owner.check(file, "depot", "guess" + std::to_string(tag), tag);
    }
    CHECK(last == Login::busy);
    CHECK(owner.logins.stats().queue_full.value() == 1);
    for (std::uint64_t other = 1; other < tag; ++other)
        owner.logins.cancel(other);
    REQUIRE(owner.check(file, "depot", "secret", tag) == Login::pending);
    while (!owner.said.contains(tag))
        REQUIRE(owner.turn());
    CHECK(owner.said == std::map<std::uint64_t, Login>{{tag, Login::right}});
}

TEST_CASE("logins: memory is bounded, and the younger ones stay in it", "[access]") {
    Owner owner{{.remembered_max = 4}};
    std::string text;
    for (int i = 0; i < 6; ++i)
        text += line_of("u" + std::to_string(i), "p");
    const auto file = file_of(text);
    for (std::uint64_t i = 0; i < 6; ++i) {
        REQUIRE(owner.check(file, "u" + std::to_string(i), "p", i) == Login::pending);
        REQUIRE(owner.turn());
    }
    CHECK(owner.check(file, "u5", "p", 10) == Login::right);
    CHECK(owner.check(file, "u0", "p", 11) == Login::pending);
}

TEST_CASE("logins: a task that comes after the end does nothing", "[access]") {
    std::mutex mutex;
    std::condition_variable has_task;
    std::function<void()> late;
    bool was_called = false;
    {
        Logins logins{
            {},
            [&](auto task) {
                const std::lock_guard guard{mutex};
                late = std::move(task);
                has_task.notify_one();
            },
            [&](std::uint64_t, Login) {
                was_called = true;
            }};
        const auto file = file_of(line_of("depot", "secret"));
        REQUIRE(logins.check(file, "depot", as_bytes("secret"), 1, start) == Login::pending);
        std::unique_lock lock{mutex};
        REQUIRE(has_task.wait_for(lock, limit, [&] { return late != nullptr; }));
    }
    late();
    CHECK_FALSE(was_called);
}

}  // namespace milepost::access
