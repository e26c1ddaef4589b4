#include "gateway/logging.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <ctime>

#include <sys/stat.h>
#include <unistd.h>

namespace milepost::logging {

namespace {

constexpr std::size_t line_bytes_max = 8192;
constexpr auto limited_interval = std::chrono::seconds{10};

std::atomic<Level> level_most{Level::info};

struct LevelName {
    Level level;
    std::string_view name;
};

constexpr std::array level_names{
    LevelName{Level::error, "error"},
    LevelName{Level::warning, "warning"},
    LevelName{Level::notice, "notice"},
    LevelName{Level::info, "info"},
    LevelName{Level::debug, "debug"},
};

std::string_view name_of(Level level) {
    for (const auto& known : level_names) {
        if (known.level == level) return known.name;
    }
    return "?";
}

std::string utc_text(Timestamp now) {
    const std::time_t seconds = now.value() / 1000;
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    return fmt::format(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        parts.tm_year + 1900,
        parts.tm_mon + 1,
        parts.tm_mday,
        parts.tm_hour,
        parts.tm_min,
        parts.tm_sec,
        now.value() % 1000
    );
}

void write_whole(std::string_view line) {
    static std::mutex one_line;
    const std::scoped_lock lock{one_line};
    while (!line.empty()) {
        const auto written = ::write(STDERR_FILENO, line.data(), line.size());
        if (written > 0) {
            line.remove_prefix(static_cast<std::size_t>(written));
        } else if (errno != EINTR) {
            return;  // nowhere left to say so
        }
    }
}

}  // namespace

void set_level(Level most) {
    level_most = most;
}

bool enabled(Level level) {
    return level <= level_most.load(std::memory_order_relaxed);
}

std::optional<Level> level_named(std::string_view name) {
    for (const auto& known : level_names) {
        if (known.name == name) return known.level;
    }
    return std::nullopt;
}

std::string escape_line(std::string_view message) {
    std::string line;
    line.reserve(message.size());
    for (const char byte : message.substr(0, line_bytes_max)) {
        const auto value = static_cast<unsigned char>(byte);
        if (value < 0x20 || value == 0x7f) {
            line += fmt::format("\\x{:02x}", value);
        } else {
            line += byte;
        }
    }
    if (message.size() > line_bytes_max) line += "...";
    return line;
}

std::string format_line(Level level, std::string_view message, Timestamp now, bool to_journal) {
    const std::string text = escape_line(message);
    if (to_journal) return fmt::format("<{}>{}\n", static_cast<int>(level), text);
    return fmt::format("{} {} {}\n", utc_text(now), name_of(level), text);
}

bool is_journal(const char* journal_stream, int descriptor) {
    struct stat found {};

    if (journal_stream == nullptr || ::fstat(descriptor, &found) != 0) return false;
    return fmt::format("{}:{}", found.st_dev, found.st_ino) == journal_stream;
}

void write(Level level, std::string_view message) {
    // getenv: once, before anything could change the environment.
    static const bool to_journal = is_journal(std::getenv("JOURNAL_STREAM"), STDERR_FILENO);
    write_whole(format_line(level, message, wall_now(), to_journal));
}

std::optional<std::uint64_t> RateLimit::admit(std::string_view key, Instant now) {
    auto found = entries_.find(key);
    if (found == entries_.end()) {
        if (entries_.size() >= keys_max) forget_old(now);
        if (entries_.size() >= keys_max) key = "(all others)";
        found = entries_.find(key);
    }
    if (found == entries_.end()) {
        entries_.emplace(std::string{key}, Entry{now, 0});
        return 0;
    }
    Entry& entry = found->second;
    if (now - entry.last < interval_) {
        ++entry.held_back;
        return std::nullopt;
    }
    entry.last = now;
    return std::exchange(entry.held_back, 0);
}

void RateLimit::forget_old(Instant now) {
    std::erase_if(entries_, [&](const auto& named) {
        return now - named.second.last >= interval_;
    });
}

std::optional<std::uint64_t> admit_limited(std::string_view key) {
    static std::mutex one_at_a_time;
    static RateLimit limit{limited_interval};
    const std::scoped_lock lock{one_at_a_time};
    return limit.admit(key, monotonic_now());
}

}  // namespace milepost::logging
