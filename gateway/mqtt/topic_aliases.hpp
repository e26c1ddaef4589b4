#pragma once

#include "gateway/mqtt/errc.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace milepost::mqtt {

// What the topic aliases of one connection mean: MQTT 5.0, section 3.3.2.3.4. Made with the first
// alias that a device sends; a topic that an alias has already costs no allocation.
class TopicAliases {
public:
    // No alias is above `aliases_max`; their topics together take at most `bytes_max`.
    TopicAliases(std::uint16_t aliases_max, std::size_t bytes_max)
        : aliases_max_(aliases_max)
        , bytes_max_(bytes_max) {}

    // `alias` stands for `topic` from now on. topic_alias_invalid, topic_aliases_too_long.
    [[nodiscard]] Errc set(std::uint16_t alias, std::string_view topic);
    // Sets `topic` to what the alias stands for; it is valid until the next set().
    // topic_alias_invalid, topic_alias_unknown.
    [[nodiscard]] Errc find(std::uint16_t alias, std::string_view& topic) const;

    // What the topics take, counted anew from what is really held: never above `bytes_max`.
    [[nodiscard]] std::size_t held_bytes() const;

private:
    std::vector<std::string> topics_;  // by alias - 1; empty: none yet
    std::uint16_t aliases_max_;
    std::size_t bytes_max_;
    std::size_t bytes_ = 0;
};

}  // namespace milepost::mqtt
