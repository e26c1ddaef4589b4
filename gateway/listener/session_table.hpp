#pragma once

#include "gateway/broker/subscriber.hpp"
#include "gateway/listener/session_state.hpp"
#include "gateway/mqtt/packet.hpp"
#include "storage/base/bytes.hpp"
#include "storage/base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace milepost::listener {

// A will of its own memory: kept from CONNECT until the connection ends, or longer with a delay.
struct StoredWill {
    std::string topic;
    Buffer payload;
    Buffer properties;
    std::string user;  // who left it: access::Identity
    std::uint32_t delay_s = 0;
    std::uint16_t endpoint = 0;  // where
    mqtt::Qos qos = mqtt::Qos::at_most_once;
    bool retain = false;
};

inline constexpr std::uint32_t no_connection = 0xFFFFFFFF;

// What is known of one client id: its connection now, and the session that outlives it.
struct ClientSession {
    std::uint32_t connection = no_connection;
    std::uint32_t expiry_s = 0;  // 0: ends with its connection
    Timestamp disconnected_at = timestamp_none;
    bool is_kept = false;                            // the log has a state of it
    std::unique_ptr<PublishMemory> memory;           // made with the first publish that needs it
    std::shared_ptr<broker::Subscriber> subscriber;  // made with the first SUBSCRIBE
};

// What a change of a session means for the log: the change to append to its state, empty when the
// session is gone.
struct SessionChange {
    std::string_view client_id;
    Buffer state;
    bool begins_anew = false;  // what the log has of an earlier session is to be forgotten first
};

// The sessions by client id: MQTT 5.0, section 4.1. Pure: time is an argument; what must survive a
// restart is handed out as SessionChange and given back to restore(). The meaning of the state
// bytes is session_state's alone.
class SessionTable {
public:
    using Map = std::unordered_map<std::string, ClientSession>;
    using Entry = Map::value_type;  // stays where it is until it is erased

    struct Opened {
        Entry* entry = nullptr;
        bool session_present = false;
        std::uint32_t taken_over = no_connection;  // the connection that had the client id
        std::optional<SessionChange> change;       // to be durable before the CONNACK
    };

    // `publish_memory_max`: publishes that all sessions remember together.
    explicit SessionTable(
        std::size_t sessions_max,
        std::size_t publish_memory_max = std::size_t{4} * 1024 * 1024
    )
        : sessions_max_(sessions_max)
        , publish_memory_max_(publish_memory_max) {}

    // A session from before the restart. What is malformed or expired is ignored: null. A session
    // that was connected when the gateway ended counts as disconnected from `now` on. What it had
    // subscribed to goes to `subscriber`.
    Entry* restore(
        std::string_view client_id,
        Bytes state,
        Timestamp now,
        SubscriberState& subscriber
    );

    // Opens or resumes the session of an accepted CONNECT for `connection`. nullopt: sessions_max.
    std::optional<Opened> open(
        const mqtt::Connect& connect,
        std::uint32_t connection,
        Timestamp now
    );

    // The connection of `entry` ended; `expiry_s` replaces the expiry if the DISCONNECT said so.
    // Returns the change to append, if any. drop_if_ended(entry) comes next.
    std::optional<SessionChange> close(
        Entry& entry,
        std::optional<std::uint32_t> expiry_s,
        Timestamp now
    );

    // Erases the entry if its session has ended; it and views into it are then gone.
    void drop_if_ended(Entry& entry);

    // Erases sessions whose time is over; gives their client ids, for the log.
    std::vector<std::string> expire(Timestamp now);

    [[nodiscard]] Entry* find(std::string_view client_id);

    // What a session remembers of its publishes. False: there is no room for it; a QoS 1 window
    // then keeps its size, its oldest entry gives way.
    bool remember_qos_1(ClientSession& session, Remembered publish);
    void remember_qos_2(ClientSession& session, Remembered publish);

    [[nodiscard]] bool has_room_for_qos_2() const { return remembered_ < publish_memory_max_; }

    void forget_qos_2(ClientSession& session, mqtt::PacketId packet_id);

    [[nodiscard]] std::size_t publish_memory_bytes() const {
        return remembered_ * sizeof(Remembered);
    }

    [[nodiscard]] std::size_t size() const { return sessions_.size(); }

private:
    void forget_all(ClientSession& session);
    [[nodiscard]] static bool is_expired(const ClientSession& session, Timestamp now);

    Map sessions_;
    std::size_t sessions_max_;
    std::size_t publish_memory_max_;
    std::size_t remembered_ = 0;  // publishes, of all sessions
};

}  // namespace milepost::listener
