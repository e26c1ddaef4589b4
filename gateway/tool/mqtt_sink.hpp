#pragma once

#include "gateway/tool/mqtt_options.hpp"
#include "gateway/tool/replay_sink.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace milepost::tool {

[[nodiscard]] bool is_mqtt_url(std::string_view url);

// Publishes in the order of the records, over one connection with a session that the broker keeps,
// and connects again when it is lost, for a minute. `url`: mqtt://HOST[:PORT] or mqtts://….
// `journal`: where it keeps what is on its way, so that a killed replay goes on: with QoS 2 each
// record once, with QoS 1 the window again at most; empty: nowhere. `job` names the replay for
// ever. A Failure if no broker answers, or it refuses.
[[nodiscard]] std::unique_ptr<ReplaySink> open_mqtt_sink(
    const std::string& url,
    const MqttOptions& options,
    const std::filesystem::path& journal,
    const std::string& job,
    bool is_resumed,
    std::uint64_t count
);

}  // namespace milepost::tool
