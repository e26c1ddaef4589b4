#pragma once

#include "gateway/forward/engine.hpp"
#include "gateway/forward/forward_status.hpp"
#include "gateway/upstream/producer.hpp"
#include "storage/base/time.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace milepost::forward {

// What a producer says of its connections, noted and logged: the same for both kinds of delivery.
class UpstreamNews : public upstream::ProducerListener {
public:
    void on_error(const ErrorCode& error, std::string_view text) override;
    void on_brokers(std::uint32_t connected) override;
    void on_log(int level, std::string_view text) override;

protected:
    UpstreamNews(ForwardStats& stats, LogLine log_line)
        : stats_(stats)
        , log_line_(std::move(log_line)) {}

    void note_error(std::string_view text);
    void add_to(ForwardStatus& status) const;

    ForwardStats& stats_;
    LogLine log_line_;
    Instant now_{};  // of the turn
    Timestamp wall_ = timestamp_none;

private:
    std::string last_error_;
    Timestamp last_error_at_ = timestamp_none;
};

}  // namespace milepost::forward
