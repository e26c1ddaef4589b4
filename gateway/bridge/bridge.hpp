#pragma once

#include "gateway/bridge/log_side.hpp"
#include "gateway/bridge/options.hpp"
#include "gateway/bridge/paho_subscriber.hpp"
#include "gateway/bridge/status.hpp"
#include "storage/base/ack_token.hpp"
#include "storage/base/bytes.hpp"

#include <atomic>
#include <mutex>
#include <string>
#include <string_view>

namespace milepost::bridge {

// One broker's readings, into the log: a subscriber and its end at the log. README.md has the
// promise. Thread: the network's, but for status() and stats(): any.
class Bridge {
public:
    Bridge(Options options, LogSide::Wiring wiring, std::size_t number);

    // Its row among the sessions, before start().
    void restore(Bytes state) { log_side_.restore(state); }

    // The log was made anew since: what was counted is not in it. Before start().
    void note_new_log() { log_side_.note_new_log(); }

    // Records in the log that came from this broker, ever. Thread: any.
    [[nodiscard]] std::uint64_t accepted() const { return log_side_.accepted(); }

    void start() { subscriber_.start(); }

    void acked(const AckToken& token) { log_side_.acked(token); }

    void retry() { log_side_.retry(); }

    // The network thread goes on with what is given until is_stopped(). One that does not get there
    // is parked, and then never destroyed.
    void request_stop() { subscriber_.request_stop(); }

    [[nodiscard]] bool is_stopped() const { return is_stopped_; }

    void park() { log_side_.park(); }

    [[nodiscard]] Status status() const;

    [[nodiscard]] const Stats& stats() const { return stats_; }

    [[nodiscard]] const Options& options() const { return options_; }

private:
    PahoSubscriber::Events events();
    void went_up();
    void had_trouble(std::string_view why);
    void went_down(std::string_view why);

    const Options options_;
    std::function<void(std::string_view, std::string_view)> notice_;
    Stats stats_;
    std::atomic<bool> is_stopped_ = false;
    mutable std::mutex mutex_;
    Status status_;
    LogSide log_side_;
    PahoSubscriber subscriber_;
};

}  // namespace milepost::bridge
