#include "gateway/tool/progress.hpp"

#include <fmt/core.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

#include <unistd.h>

namespace milepost::tool {

namespace {

constexpr Duration pause = std::chrono::milliseconds{100};
constexpr double megabyte = 1e6;

bool can_write_over() {
    const char* term = std::getenv("TERM");
    return ::isatty(STDERR_FILENO) != 0 && (term == nullptr || std::string_view{term} != "dumb");
}

}  // namespace

Progress::Progress(std::string what)
    : what_(std::move(what))
    , is_terminal_(can_write_over())
    , begun_(monotonic_now())
    , last_(begun_) {}

Progress::~Progress() {
    clear();
}

void Progress::show(std::uint64_t done, std::uint64_t all) {
    if (!is_terminal_ || all == 0) return;
    const Instant now = monotonic_now();
    if (now - last_ < pause) return;
    last_ = now;
    is_shown_ = true;
    const double seconds = std::chrono::duration<double>(now - begun_).count();
    fmt::print(
        stderr,
        "\r\x1b[K{}: {} % of {:.0f} MB, {:.0f} MB/s",
        what_,
        done * 100 / all,
        static_cast<double>(all) / megabyte,
        static_cast<double>(done) / megabyte / seconds
    );
    std::fflush(stderr);
}

bool Progress::is_due() const {
    return is_terminal_ && monotonic_now() - last_ >= pause;
}

void Progress::show_text(std::string_view text) {
    if (!is_terminal_) return;
    last_ = monotonic_now();
    is_shown_ = true;
    fmt::print(stderr, "\r\x1b[K{}: {}", what_, text);
    std::fflush(stderr);
}

void Progress::clear() {
    if (!is_shown_) return;
    is_shown_ = false;
    fmt::print(stderr, "\r\x1b[K");
    std::fflush(stderr);
}

}  // namespace milepost::tool
