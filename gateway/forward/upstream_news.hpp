#pragma once

#include "gateway/forward/engine.hpp"
#include "gateway/forward/forward_status.hpp"
#include "gateway/upstream/producer.hpp"
#include "storage/base/time.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace milepost::forward {

inline constexpr std::string_view throttled_text =
    "the upstream throttles this gateway (a quota): less is sent";

// That no broker is connected; first of all, if a reason is known.
void add_no_broker(ForwardStatus& status);

// What a producer says of its connections, noted and logged: the same for both kinds of delivery.
class UpstreamNews : public upstream::ProducerListener {
public:
    void on_error(const ErrorCode& error, std::string_view text) override;
    void on_brokers(std::uint32_t connected) override;
    void on_log(int level, std::string_view text) override;
    void on_throttled(Duration held) override;

protected:
    UpstreamNews(ForwardStats& stats, LogLine log_line)
        : stats_(stats)
        , log_line_(std::move(log_line)) {}

    void note_error(std::string_view text);
    void add_to(ForwardStatus& status) const;

    // Why nobody lets this gateway in, once that is so for some seconds; empty: somebody does, or
    // nothing is known of it. A producer keeps the secrets and certificates that it was made with,
    // so another one has to be made, which reads them again.
    [[nodiscard]] std::string refusal() const;

    void forget_refusal() { refused_at_.reset(); }

    ForwardStats& stats_;
    LogLine log_line_;
    Instant now_{};  // of the turn
    Timestamp wall_ = timestamp_none;

private:
    std::string last_error_;
    std::pair<ErrorCode, Instant> logged_{};  // the last line about an error
    std::optional<Instant> throttled_at_;
    Timestamp last_error_at_ = timestamp_none;
    std::string refusal_;
    std::optional<Instant> refused_at_;  // the first time
};

}  // namespace milepost::forward
