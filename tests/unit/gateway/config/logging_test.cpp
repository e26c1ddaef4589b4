#include "gateway/logging.hpp"

#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <unistd.h>

using namespace milepost;
using namespace std::chrono_literals;

TEST_CASE("logging: a line has time and level, or the journal's priority", "[logging]") {
    const Timestamp now{1'795'393'770'318};
    CHECK(
        logging::format_line(logging::Level::warning, "a b", now, false) ==
        "2026-11-23T00:29:30.318Z warning a b\n"
    );
    CHECK(logging::format_line(logging::Level::warning, "a b", now, true) == "<4>a b\n");
}

TEST_CASE("logging: a message cannot forge a line", "[logging]") {
    CHECK(logging::escape_line("a\n<3>b\x1b\x7f\tc") == "a\\x0a<3>b\\x1b\\x7f\\x09c");
    CHECK(logging::escape_line(std::string(100'000, 'x')).size() < 10'000);
}

TEST_CASE("logging: only the journal itself gets priorities", "[logging]") {
    struct stat found {};

    REQUIRE(::fstat(STDERR_FILENO, &found) == 0);
    const auto same = fmt::format("{}:{}", found.st_dev, found.st_ino);
    CHECK(logging::is_journal(same.c_str(), STDERR_FILENO));
    CHECK_FALSE(logging::is_journal("1:2", STDERR_FILENO));
    CHECK_FALSE(logging::is_journal(nullptr, STDERR_FILENO));
}

TEST_CASE("logging: one event a key and interval passes, the others are counted", "[logging]") {
    logging::RateLimit limit{10s};
    const Instant start{1'000s};
    CHECK(limit.admit("a", start) == std::optional<std::uint64_t>{0});
    CHECK_FALSE(limit.admit("a", start + 1s));
    CHECK_FALSE(limit.admit("a", start + 9s));
    CHECK(limit.admit("b", start + 9s) == std::optional<std::uint64_t>{0});
    CHECK(limit.admit("a", start + 10s) == std::optional<std::uint64_t>{2});
    CHECK_FALSE(limit.admit("a", start + 11s));
}

TEST_CASE("logging: a flood of keys shares one entry", "[logging]") {
    logging::RateLimit limit{10s};
    const Instant start{1'000s};
    std::size_t passed = 0;
    for (int i = 0; i < 10'000; ++i)
        passed += limit.admit(std::to_string(i), start) ? 1U : 0U;
    CHECK(passed == logging::RateLimit::keys_max + 1);
    CHECK(limit.admit("new", start + 10s));
}
