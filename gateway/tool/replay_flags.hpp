#pragma once

#include "gateway/tool/replay_options.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace milepost::tool {

// The flags of replay and export as CLI11 fills them; turned into options afterwards.
class ReplayFlags {
public:
    void add_to(CLI::App& app);

    // Throws CLI::ValidationError.
    [[nodiscard]] ReplayOptions options(bool is_export) const;

private:
    void add_selection(CLI::App& command);
    void add_export(CLI::App& app);
    void add_replay(CLI::App& app);
    void add_mqtt(CLI::App& command);
    [[nodiscard]] MqttOptions mqtt_options() const;
    void take_source(ReplayOptions& options) const;

    ReplayOptions raw_;
    std::string from_;
    std::vector<std::string> topics_;
    std::vector<std::string> properties_;
    std::int32_t partition_ = -1;
    std::string offset_range_;
    std::string file_format_ = "ndjson";
    std::string speed_ = "1x";
    std::string timestamps_ = "original";
    std::uint64_t gap_max_ms_ = 0;
    int qos_ = 2;
    std::string version_ = "mqttv5";
    std::vector<std::string> mqtt_topics_;
};

}  // namespace milepost::tool
