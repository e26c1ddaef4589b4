#include "gateway/forward/upstream_news.hpp"

#include <chrono>

namespace milepost::forward {

namespace {

constexpr std::chrono::seconds refusal_believed_after{2};
constexpr std::chrono::minutes same_line_again{1};
constexpr std::chrono::minutes throttled_line_again{10};

}  // namespace

void add_no_broker(ForwardStatus& status) {
    if (status.brokers_connected > 0) return;
    const std::string text = "no broker is connected";
    if (status.last_error.empty()) {
        status.degraded.push_back(text);
    } else {
        status.degraded.insert(status.degraded.begin(), text + ": " + status.last_error);
    }
}

void UpstreamNews::on_error(const ErrorCode& error, std::string_view text) {
    const auto fault = upstream::fault_of(error);
    stats_.faults[static_cast<std::size_t>(fault)].add();
    if (fault == upstream::Fault::credentials) {
        if (!refused_at_) refused_at_ = now_;
        if (!text.empty()) refusal_ = text;
    }
    if (text.empty()) return;
    note_error(text);
    // In an outage of a day the same is found out twice a second.
    const auto& [last, at] = logged_;
    if (last == error && now_ - at < same_line_again) return;
    logged_ = {error, now_};
    log_line_(level_warning, "upstream: " + std::string{text});
}

void UpstreamNews::on_brokers(std::uint32_t connected) {
    stats_.brokers_connected.set(connected);
    if (connected > 0) forget_refusal();
}

void UpstreamNews::on_log(int level, std::string_view text) {
    log_line_(level, "librdkafka: " + std::string{text});
}

void UpstreamNews::on_throttled(Duration) {
    stats_.throttled.add();
    const bool is_new = !throttled_at_ || now_ - *throttled_at_ >= throttled_line_again;
    throttled_at_ = now_;
    if (is_new) log_line_(level_notice, "forward: " + std::string{throttled_text});
}

void UpstreamNews::note_error(std::string_view text) {
    last_error_ = text;
    last_error_at_ = wall_;
}

std::string UpstreamNews::refusal() const {
    const bool is_refused = refused_at_ && now_ - *refused_at_ >= refusal_believed_after;
    return is_refused && stats_.brokers_connected.value() == 0 ? refusal_ : std::string{};
}

void UpstreamNews::add_to(ForwardStatus& status) const {
    status.brokers_connected = static_cast<std::uint32_t>(stats_.brokers_connected.value());
    if (!last_error_.empty() && last_error_at_ >= status.last_error_at) {
        status.last_error = last_error_;
        status.last_error_at = last_error_at_;
    }
}

}  // namespace milepost::forward
