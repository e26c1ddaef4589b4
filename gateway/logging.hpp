#pragma once

#include "storage/base/time.hpp"

#include <fmt/core.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

// Log lines on stderr, one an event. Under systemd (stderr is the journal) a line begins with the
// syslog priority `<N>`, else with the UTC time and the level. Thread: any.
namespace milepost::logging {

// Numbers are syslog's (RFC 5424, table 2), which journald reads.
enum class Level : std::uint8_t { error = 3, warning = 4, notice = 5, info = 6, debug = 7 };

// Lines above this level are not written; info at start.
void set_level(Level most);
[[nodiscard]] bool enabled(Level level);
[[nodiscard]] std::optional<Level> level_named(std::string_view name);

// Writes one line. Control bytes are written as \xNN: a client id cannot forge a line.
void write(Level level, std::string_view message);

template <class... Args>
void log(Level level, fmt::format_string<Args...> format, Args&&... args) {
    if (enabled(level)) write(level, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
    log(Level::error, format, std::forward<Args>(args)...);
}

template <class... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
    log(Level::warning, format, std::forward<Args>(args)...);
}

template <class... Args>
void notice(fmt::format_string<Args...> format, Args&&... args) {
    log(Level::notice, format, std::forward<Args>(args)...);
}

template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
    log(Level::info, format, std::forward<Args>(args)...);
}

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
    log(Level::debug, format, std::forward<Args>(args)...);
}

// Lets one event a key and interval through and counts the others; pure. Keeps at most `keys_max`
// keys: beyond that all new ones share one entry, so a flood of names cannot grow it.
class RateLimit {
public:
    static constexpr std::size_t keys_max = 1024;

    explicit RateLimit(Duration interval)
        : interval_(interval) {}

    // nullopt: hold this event back. Else how many of this key were held back since the last one.
    std::optional<std::uint64_t> admit(std::string_view key, Instant now);

private:
    struct Entry {
        Instant last;
        std::uint64_t held_back = 0;
    };

    void forget_old(Instant now);

    Duration interval_;
    std::map<std::string, Entry, std::less<>> entries_;
};

// One line a key and ten seconds, with "(N more)" for what was held back. For events that a client
// can cause: the key is the kind of event, or kind and client id.
std::optional<std::uint64_t> admit_limited(std::string_view key);

template <class... Args>
void limited(
    Level level,
    std::string_view key,
    fmt::format_string<Args...> format,
    Args&&... args
) {
    if (!enabled(level)) return;
    const auto held_back = admit_limited(key);
    if (!held_back) return;
    std::string line = fmt::format(format, std::forward<Args>(args)...);
    if (*held_back > 0) line += fmt::format(" ({} more like this were not logged)", *held_back);
    write(level, line);
}

// Parts of write(), for its test.
[[nodiscard]] std::string escape_line(std::string_view message);
[[nodiscard]] std::string format_line(
    Level level,
    std::string_view message,
    Timestamp now,
    bool to_journal
);
// Whether `journal_stream` ($JOURNAL_STREAM, "device:inode") names the open file `descriptor`: the
// variable is inherited by programs whose stderr is something else (systemd.exec(5)).
[[nodiscard]] bool is_journal(const char* journal_stream, int descriptor);

}  // namespace milepost::logging
