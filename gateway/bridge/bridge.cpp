#include "gateway/bridge/bridge.hpp"

#include <utility>

namespace milepost::bridge {

namespace {

// What a broker says goes into lines and pages: no more of it than this.
constexpr std::size_t error_bytes_max = 512;

LogSide::Wiring named(LogSide::Wiring wiring, const std::string& name) {
    wiring.notice =
        [name, notice = std::move(wiring.notice)](std::string_view kind, std::string_view text) {
            notice(
                "bridge " + name + ' ' + std::string{kind},
                "bridge " + name + ": " + std::string{text}
            );
        };
    return wiring;
}

}  // namespace

std::string_view state_name(State state) {
    switch (state) {
        case State::connecting: return "connecting";
        case State::up: return "up";
        case State::down: return "down";
        case State::stopped: return "stopped";
    }
    return "unknown";
}

Bridge::Bridge(Options options, LogSide::Wiring wiring, std::size_t number)
    : options_(std::move(options))
    , log_side_(
          named(std::move(wiring), options_.name),
          options_.name,
          options_.client_id,
          peer_of(options_.url, options_.client_id),
          stats_
      )
    , subscriber_(options_, events()) {
    log_side_.set_number(number);
}

PahoSubscriber::Events Bridge::events() {
    return {
        .packet =
            [this](Bytes packet, mqtt::ProtocolLevel level) {
                log_side_.give_packet(packet, level);
            },
        .release = [this](mqtt::PacketId id) { log_side_.give_release(id); },
        .unreleased = [this] { return log_side_.unreleased(); },
        .filters = [this] { return log_side_.filters(); },
        .hold = [this](const Filters& filters) { log_side_.give_filters(filters); },
        .up = [this] { went_up(); },
        .trouble = [this](std::string_view why) { had_trouble(why); },
        .down = [this](std::string_view why) { went_down(why); },
        .stopped =
            [this] {
                {
                    const std::lock_guard lock{mutex_};
                    status_.state = State::stopped;
                }
                is_stopped_ = true;
            }};
}

void Bridge::went_up() {
    stats_.connects.add();
    {
        const std::lock_guard lock{mutex_};
        status_.state = State::up;
        status_.connected_since = wall_now();
    }
    log_side_.note("up", "connected to " + options_.url + " and subscribed");
}

void Bridge::had_trouble(std::string_view why) {
    {
        const std::lock_guard lock{mutex_};
        status_.last_error = why.substr(0, error_bytes_max);
        status_.last_error_at = wall_now();
    }
    log_side_.note("trouble", why.substr(0, error_bytes_max));
}

void Bridge::went_down(std::string_view why) {
    stats_.failures.add();
    {
        const std::lock_guard lock{mutex_};
        status_.state = State::down;
        status_.connected_since = timestamp_none;
    }
    had_trouble(why);
}

Status Bridge::status() const {
    const std::lock_guard lock{mutex_};
    Status status = status_;
    status.waits_for_log = log_side_.waits_for_log();
    return status;
}

}  // namespace milepost::bridge
