#include "gateway/service_notify.hpp"

#include <fmt/core.h>

#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

namespace milepost {

namespace {

constexpr time_t send_max_s = 5;
constexpr int pings_per_interval = 4;
constexpr Duration period_without_watchdog = std::chrono::seconds{15};
// A disk that takes less is only slow.
constexpr Duration disk_hangs_after = std::chrono::seconds{1};

std::optional<std::int64_t> parse_number(const char* text) {
    if (text == nullptr) return std::nullopt;
    const char* const end = text + std::strlen(text);
    std::int64_t number = 0;
    const auto [stopped, error] = std::from_chars(text, end, number);
    if (error != std::errc{} || stopped != end) return std::nullopt;
    return number;
}

}  // namespace

std::optional<NotifySocket> NotifySocket::open(std::string_view address) {
    sockaddr_un place{};
    if (address.size() < 2 || address.size() >= sizeof(place.sun_path)) return std::nullopt;
    const bool is_abstract = address.front() == '@';
    if (!is_abstract && address.front() != '/') return std::nullopt;
    place.sun_family = AF_UNIX;
    std::memcpy(place.sun_path, address.data(), address.size());
    if (is_abstract) place.sun_path[0] = '\0';

    const int descriptor = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return std::nullopt;
    const timeval limit{.tv_sec = send_max_s, .tv_usec = 0};
    ::setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    std::string bytes(offsetof(sockaddr_un, sun_path) + address.size(), '\0');
    std::memcpy(bytes.data(), &place, bytes.size());
    return NotifySocket{descriptor, std::move(bytes)};
}

NotifySocket::NotifySocket(NotifySocket&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1))
    , address_(std::move(other.address_)) {}

NotifySocket::~NotifySocket() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

bool NotifySocket::send(std::string_view lines) const {
    sockaddr_un place{};
    std::memcpy(&place, address_.data(), address_.size());
    const auto sent = ::sendto(
        descriptor_,
        lines.data(),
        lines.size(),
        MSG_NOSIGNAL,
        reinterpret_cast<const sockaddr*>(&place),  // NOLINT: the sockets' own idiom
        static_cast<socklen_t>(address_.size())
    );
    return sent == static_cast<ssize_t>(lines.size());
}

std::string service_status(const ServiceFacts& before, const ServiceFacts& now, Duration between) {
    using std::chrono::duration_cast;
    using std::chrono::seconds;
    if (now.disk_waits && *now.disk_waits >= disk_hangs_after) {
        return fmt::format(
            "no readings are acknowledged: the disk has not answered for {} s",
            duration_cast<seconds>(*now.disk_waits).count()
        );
    }
    if (!now.intake_closed.empty()) {
        return fmt::format("no readings are taken in: {}", now.intake_closed);
    }
    const double elapsed_s = std::chrono::duration<double>(between).count();
    const auto readings = static_cast<double>(now.readings - before.readings);
    return fmt::format("{:.1f} readings/s", elapsed_s > 0 ? readings / elapsed_s : 0.0);
}

std::optional<Duration> watchdog_interval(
    const char* microseconds,
    const char* pid,
    std::int64_t own_pid
) {
    constexpr std::int64_t day_us = 24LL * 3600 * 1'000'000;
    const auto interval = parse_number(microseconds);
    if (!interval || *interval <= 0 || *interval > day_us) return std::nullopt;
    if (pid != nullptr && parse_number(pid) != own_pid) return std::nullopt;
    return std::chrono::microseconds{*interval};
}

ServiceNotify::ServiceNotify(NotifySocket socket, Duration period, Watched watched)
    : socket_(std::move(socket))
    , period_(period)
    , watched_(std::move(watched))
    , answered_(std::make_shared<std::atomic<bool>>(true))
    , thread_([this](const std::stop_token& stop) { run(stop); }) {}

ServiceNotify::~ServiceNotify() = default;

std::unique_ptr<ServiceNotify> ServiceNotify::from_environment(Watched watched) {
    const char* const address = std::getenv("NOTIFY_SOCKET");
    if (address == nullptr) return nullptr;
    auto socket = NotifySocket::open(address);
    if (!socket) return nullptr;
    const auto interval =
        watchdog_interval(std::getenv("WATCHDOG_USEC"), std::getenv("WATCHDOG_PID"), ::getpid());
    const Duration period = interval ? *interval / pings_per_interval : period_without_watchdog;
    return std::make_unique<ServiceNotify>(std::move(*socket), period, std::move(watched));
}

void ServiceNotify::ready() {
    const std::lock_guard guard{mutex_};
    if (phase_ == Phase::starting) phase_ = Phase::serving;
    wake_.notify_all();
}

void ServiceNotify::stopping() {
    const std::lock_guard guard{mutex_};
    phase_ = Phase::stopping;
    wake_.notify_all();
}

void ServiceNotify::run(const std::stop_token& stop) {
    Phase told = Phase::starting;
    std::unique_lock lock{mutex_};
    for (;;) {
        wake_.wait_for(lock, stop, period_, [&] { return phase_ != told; });
        const Phase phase = phase_;
        if (stop.stop_requested() && phase == told) return;
        lock.unlock();
        tell(phase, phase != told);
        told = phase;
        lock.lock();
    }
}

void ServiceNotify::tell(Phase phase, bool is_news) {
    if (phase == Phase::starting) return;
    if (phase == Phase::stopping) {
        socket_.send(
            is_news ? "STOPPING=1\nSTATUS=stopping: the log is brought into its segments"
                    : "WATCHDOG=1"
        );
        return;
    }
    const ServiceFacts facts = watched_.facts();
    const Instant now = monotonic_now();
    std::string lines = is_news ? "READY=1\n" : "";
    if (loop_goes_round(facts)) lines += "WATCHDOG=1\n";
    lines += "STATUS=" + service_status(is_news ? facts : before_, facts, now - before_at_);
    socket_.send(lines);
    before_ = facts;
    before_at_ = now;
}

bool ServiceNotify::loop_goes_round(const ServiceFacts& facts) {
    if (!answered_->exchange(false)) return facts.disk_waits.has_value();
    watched_.post([answered = answered_] { *answered = true; });
    return true;
}

}  // namespace milepost
