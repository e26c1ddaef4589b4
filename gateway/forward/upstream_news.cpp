#include "gateway/forward/upstream_news.hpp"

namespace milepost::forward {

void UpstreamNews::on_error(const ErrorCode& error, std::string_view text) {
    stats_.faults[static_cast<std::size_t>(upstream::fault_of(error))].add();
    if (text.empty()) return;
    note_error(text);
    log_line_(level_warning, "upstream: " + std::string{text});
}

void UpstreamNews::on_brokers(std::uint32_t connected) {
    stats_.brokers_connected.set(connected);
}

void UpstreamNews::on_log(int level, std::string_view text) {
    log_line_(level, "librdkafka: " + std::string{text});
}

void UpstreamNews::note_error(std::string_view text) {
    last_error_ = text;
    last_error_at_ = wall_;
}

void UpstreamNews::add_to(ForwardStatus& status) const {
    status.brokers_connected = static_cast<std::uint32_t>(stats_.brokers_connected.value());
    if (!last_error_.empty() && last_error_at_ >= status.last_error_at) {
        status.last_error = last_error_;
        status.last_error_at = last_error_at_;
    }
}

}  // namespace milepost::forward
