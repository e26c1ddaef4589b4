#pragma once

#include "gateway/listener/publish_memory.hpp"
#include "gateway/mqtt/packet.hpp"
#include "storage/base/bytes.hpp"

#include <cstddef>
#include <cstdint>
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

// For a row whose count is not of this log. The row is not empty.
[[nodiscard]] Buffer new_log_change();

// The broker's filters for us, with the QoS that was asked for.
using Filters = std::map<std::string, int, std::less<>>;

// The QoS of a filter that the broker may hold or not: to be subscribed to again, or taken away. No
// bridge asks for QoS 0.
inline constexpr int qos_in_doubt = 0;

[[nodiscard]] Filters in_doubt(Filters filters);

// Tells one broker's session with us from another's: with its url or our client id it is another
// one. 0: none is told.
using Peer = std::uint32_t;

[[nodiscard]] Peer peer_of(std::string_view url, std::string_view client_id);

// What a bridge must not forget: the QoS 2 packet ids that wait for their PUBREL, the filters that
// the broker holds, and how many records it has put into the log. Pure; a state is a row of
// changes, encoded as a kept session's of the listener. A change is to become durable, then is
// noted here.
class BrokerSession {
public:
    BrokerSession() = default;
    // As the Keeper has it. What is malformed is none. Filters of another peer are in doubt.
    explicit BrokerSession(Bytes state, Peer peer = 0);

    // Whether this QoS 2 publish is in the log already.
    [[nodiscard]] bool has(const listener::Remembered& publish) const;
    [[nodiscard]] bool waits(mqtt::PacketId packet_id) const;
    [[nodiscard]] std::vector<mqtt::PacketId> unreleased() const;

    [[nodiscard]] const Filters& filters() const { return filters_; }

    // Records that this bridge has put into the log since that was made.
    [[nodiscard]] std::uint64_t accepted() const { return accepted_; }

    // One more record; `publish`: of QoS 2.
    [[nodiscard]] Buffer accepted_change(const std::optional<listener::Remembered>& publish) const;
    void note_accepted(const std::optional<listener::Remembered>& publish);

    // The log is another one: what was counted is not in it.
    void note_new_log() { accepted_ = 0; }

    [[nodiscard]] Buffer released_change(mqtt::PacketId packet_id) const;
    void note_released(mqtt::PacketId packet_id);
    // From the filters that are noted to these; may be empty of changes.
    [[nodiscard]] Buffer filters_change(const Filters& filters) const;
    void note_filters(Filters filters);

private:
    [[nodiscard]] Buffer begin_change() const;

    Peer peer_ = 0;
    listener::UnreleasedPublishes unreleased_;
    Filters filters_;
    std::uint64_t accepted_ = 0;
    bool is_kept_ = false;  // the row has its header
};

}  // namespace milepost::bridge
