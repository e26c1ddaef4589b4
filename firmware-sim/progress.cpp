#include "firmware-sim/progress.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <string_view>

#include <unistd.h>

namespace milepost::fleet {

namespace {

constexpr std::chrono::milliseconds terminal_every{500};
constexpr std::chrono::milliseconds lines_every{1000};

}  // namespace

Progress Progress::for_stderr(bool is_quiet) {
    if (is_quiet) return {Style::none, /*in_colour=*/false};
    const char* const term = std::getenv("TERM");
    const bool is_terminal = ::isatty(STDERR_FILENO) == 1 &&
                             (term == nullptr || std::string_view{term} != "dumb");
    const char* const no_colour = std::getenv("NO_COLOR");
    const bool in_colour = is_terminal && (no_colour == nullptr || *no_colour == '\0');
    return {is_terminal ? Style::terminal : Style::lines, in_colour};
}

std::string Progress::show(const Tally& tally, std::size_t connected, Instant now) {
    if (style_ == Style::none) next_ = Instant::max();
    if (now < next_ || style_ == Style::none) return {};
    next_ = now + (style_ == Style::terminal ? terminal_every : lines_every);
    if (style_ == Style::lines) {
        if (connected == last_connected_) return {};
        last_connected_ = connected;
        return fmt::format(
            "milepost-fleet: {} of {} vehicles connected, {} readings outstanding\n",
            connected,
            tally.vehicles,
            tally.outstanding
        );
    }
    has_shown_ = true;
    const bool is_whole = connected == tally.vehicles;
    const std::string_view colour = !in_colour_ ? "" : is_whole ? "\033[32m" : "\033[33m";
    return fmt::format(
        "\r\033[K{:6.1f} s  {}connected {}/{}{}  sampled {}  acknowledged {}  outstanding {}  "
        "dropped {}",
        tally.seconds,
        colour,
        connected,
        tally.vehicles,
        in_colour_ ? "\033[0m" : "",
        tally.sampled,
        tally.acknowledged,
        tally.outstanding,
        tally.dropped()
    );
}

std::string Progress::say(const std::string& lines) {
    if (style_ == Style::none || lines.empty()) return {};
    next_ = {};
    return has_shown_ ? "\r\033[K" + lines : lines;
}

std::string Progress::end() const {
    return has_shown_ ? "\n" : "";
}

}  // namespace milepost::fleet
