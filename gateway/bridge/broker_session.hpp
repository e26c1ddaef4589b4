#pragma once

#include "gateway/listener/publish_memory.hpp"
#include "gateway/mqtt/packet.hpp"
#include "storage/base/bytes.hpp"

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace milepost::bridge {

// Where a bridge's row is kept among the sessions: a key that no client id can be
// (storage/FORMAT.md, "Session states").
[[nodiscard]] std::string row_key(std::string_view bridge_name);
[[nodiscard]] std::optional<std::string_view> bridge_of_key(std::string_view key);

// The broker's filters for us, with the QoS that was asked for.
using Filters = std::map<std::string, int, std::less<>>;

// What a bridge must not forget of the session with its broker: the QoS 2 packet ids that wait for
// their PUBREL, and the filters that the broker holds. Pure; a state is a row of changes, encoded
// as a kept session's of the listener. A change is to become durable, then is noted here.
class BrokerSession {
public:
    BrokerSession() = default;
    // As the Keeper has it. What is malformed is none.
    explicit BrokerSession(Bytes state);

    // Whether this QoS 2 publish is in the log already.
    [[nodiscard]] bool has(const listener::Remembered& publish) const;
    [[nodiscard]] bool waits(mqtt::PacketId packet_id) const;
    [[nodiscard]] std::vector<mqtt::PacketId> unreleased() const;

    [[nodiscard]] const Filters& filters() const { return filters_; }

    [[nodiscard]] Buffer received_change(const listener::Remembered& publish) const;
    void note_received(const listener::Remembered& publish);
    [[nodiscard]] Buffer released_change(mqtt::PacketId packet_id) const;
    void note_released(mqtt::PacketId packet_id);
    // From the filters that are noted to these; may be empty of changes.
    [[nodiscard]] Buffer filters_change(const Filters& filters) const;
    void note_filters(Filters filters);

private:
    [[nodiscard]] Buffer begin_change() const;

    listener::UnreleasedPublishes unreleased_;
    Filters filters_;
    bool is_kept_ = false;  // the row has its header
};

}  // namespace milepost::bridge
