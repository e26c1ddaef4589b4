#include "gateway/bridges.hpp"

#include "gateway/config_checks.hpp"
#include "gateway/upstream/secret_file.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <optional>
#include <utility>

namespace milepost {

namespace {

constexpr auto stop_max = std::chrono::milliseconds{2'500};
constexpr auto stop_step = std::chrono::milliseconds{20};

void check_file(
    const std::string& bridge,
    const std::string& path,
    std::vector<std::string>& problems
) {
    if (path.empty() || std::ifstream{path}.good()) return;
    problems.push_back(fmt::format("bridge {}: cannot read {}", bridge, path));
}

bridge::Options options_of(
    const Config& config,
    const BridgeConfig& configured,
    std::vector<std::string>& problems
) {
    bridge::Options options;
    options.name = configured.name;
    options.url = configured.url;
    options.client_id = configured.client_id;
    if (options.client_id.empty()) {
        options.client_id = "milepost-" + config.gateway_id + '-' + configured.name;
    }
    options.filters = split_list(configured.filters);
    options.qos = configured.qos;
    options.version = configured.is_v5 ? bridge::Version::v5 : bridge::Version::v3_1_1;
    options.user = configured.user;
    if (!configured.password_file.empty()) {
        if (const auto wrong = upstream::read_secret(configured.password_file, options.password)) {
            problems.push_back(fmt::format("bridge {}: {}", configured.name, *wrong));
        }
    }
    for (const auto* file :
         {&configured.ca_file, &configured.certificate_file, &configured.key_file}) {
        check_file(configured.name, *file, problems);
    }
    options.ca_file = configured.ca_file;
    options.certificate_file = configured.certificate_file;
    options.key_file = configured.key_file;
    options.keep_alive = configured.keep_alive;
    options.connect_timeout = configured.connect_timeout;
    options.session_expiry = configured.session_expiry;
    options.reconnect_min = configured.reconnect_min;
    options.reconnect_max = configured.reconnect_max;
    options.in_flight_max = configured.in_flight_max;
    options.packet_bytes_max = config.mqtt.packet_bytes_max;
    options.unreleased_bytes_max = configured.unreleased_bytes_max;
    options.seed = std::hash<std::string>{}(options.client_id);
    return options;
}

}  // namespace

Bridges::Bridges(
    const Config& config,
    const bridge::LogSide::Wiring& wiring,
    std::vector<std::string>& problems
) {
    for (const auto& configured : config.bridges) {
        bridges_.push_back(std::make_unique<bridge::Bridge>(
            options_of(config, configured, problems),
            wiring,
            bridges_.size()
        ));
    }
}

bool Bridges::restore(std::string_view key, Bytes state) {
    const auto name = bridge::bridge_of_key(key);
    if (!name) return false;
    kept_rows_.emplace_back(key);
    const auto found = std::ranges::find(bridges_, *name, [](const auto& one) {
        return std::string_view{one->options().name};
    });
    if (found != bridges_.end()) {
        (*found)->restore(state);
    } else {
        accepted_by_others_ += bridge::BrokerSession{state}.accepted();
    }
    return true;
}

void Bridges::check_accepted(storage::Appender& log, bool log_is_new, std::uint64_t records) {
    if (accepted() == 0 || (!log_is_new && accepted() <= records)) return;
    for (auto& one : bridges_)
        one->note_new_log();
    accepted_by_others_ = 0;
    const Buffer change = bridge::new_log_change();
    // Where it is not taken in nothing is: the next start finds the same.
    for (const auto& key : kept_rows_)
        (void)log.append_change({key, change}, std::nullopt).has_error();
}

std::uint64_t Bridges::accepted() const {
    std::uint64_t sum = accepted_by_others_;
    for (const auto& one : bridges_)
        sum += one->accepted();
    return sum;
}

void Bridges::start() {
    was_started_ = true;
    for (auto& one : bridges_)
        one->start();
}

void Bridges::acked(std::span<const AckToken> tokens) {
    if (bridges_.empty()) return;
    for (const AckToken& token : tokens) {
        if (token.connection < bridge::connection_first) continue;
        const std::size_t number = token.connection - bridge::connection_first;
        if (number < bridges_.size()) bridges_[number]->acked(token);
    }
}

void Bridges::retry() {
    for (auto& one : bridges_)
        one->retry();
}

void Bridges::stop(boost::asio::io_context& io) {
    for (auto& one : bridges_)
        one->request_stop();
    const auto are_stopped = [this] {
        return std::ranges::all_of(bridges_, [](const auto& one) { return one->is_stopped(); });
    };
    const auto end = std::chrono::steady_clock::now() + stop_max;
    io.restart();
    while (!are_stopped() && std::chrono::steady_clock::now() < end) {
        io.run_for(stop_step);
        io.restart();
    }
    for (auto& one : bridges_) {
        if (!one->is_stopped()) one->park();
    }
}

Bridges::~Bridges() {
    for (auto& one : bridges_) {
        if (was_started_ && !one->is_stopped()) static_cast<void>(one.release());
    }
}

std::vector<admin::BridgeStatus> Bridges::status() const {
    std::vector<admin::BridgeStatus> all;
    for (const auto& one : bridges_) {
        const auto status = one->status();
        const auto& stats = one->stats();
        all.push_back(admin::BridgeStatus{
            .name = one->options().name,
            .url = one->options().url,
            .state = std::string{bridge::state_name(status.state)},
            .connected_since_ms = status.connected_since.value(),
            .last_error = status.last_error,
            .last_error_ms = status.last_error_at.value(),
            .waits_for_log = status.waits_for_log,
            .counts = {
                {"received", stats.received.value()},
                {"duplicates", stats.duplicates.value()},
                {"redelivered", stats.redelivered.value()},
                {"malformed", stats.malformed.value()},
                {"connects", stats.connects.value()},
                {"failures", stats.failures.value()},
            }});
    }
    return all;
}

std::vector<std::string> check_bridge_files(const Config& config) {
    std::vector<std::string> problems;
    for (const auto& configured : config.bridges)
        static_cast<void>(options_of(config, configured, problems));
    return problems;
}

}  // namespace milepost
