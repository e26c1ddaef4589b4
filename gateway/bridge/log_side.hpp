#pragma once

#include "gateway/bridge/broker_session.hpp"
#include "gateway/bridge/crossing.hpp"
#include "gateway/bridge/status.hpp"
#include "gateway/ingest/intake.hpp"
#include "gateway/mqtt/packet.hpp"
#include "storage/base/ack_token.hpp"
#include "storage/base/bytes.hpp"
#include "storage/log/appender.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace milepost::bridge {

// Tokens of bridges carry connections from here on; the listener's slots never reach it.
inline constexpr std::uint32_t connection_first = 0xFFFF0000;

// A bridge's end at the log: takes what Paho's thread gives, decides what is new, has it written
// with the change of the bridge's row, and answers when that is durable.
class LogSide {
public:
    // `post` runs a task on the network thread soon. begin_turn and end_turn are the front door's:
    // the wall time, and commit. `notice` may be called by any thread.
    struct Wiring {
        storage::Appender& log;
        ingest::Intake& intake;
        std::function<void(std::function<void()>)> post;
        std::function<void()> begin_turn;
        std::function<void()> end_turn;
        std::function<void(std::string_view kind, std::string_view text)> notice;
    };

    // `stats` outlives it.
    LogSide(Wiring wiring, std::string_view name, std::string client_id, Peer peer, Stats& stats);

    // Before anything is given. `number` tells the bridges of a gateway apart: under 65,536.
    void set_number(std::size_t number);

    void restore(Bytes state);
    void note_new_log();

    // Paho's thread: these return when it is durable. A whole PUBLISH; with QoS 0, when it is
    // taken or dropped.
    void give_packet(Bytes packet, mqtt::ProtocolLevel level);
    void give_release(mqtt::PacketId packet_id);
    // The bridge's own thread.
    void give_filters(const Filters& filters);

    // Any thread.
    [[nodiscard]] std::vector<mqtt::PacketId> unreleased() const;
    [[nodiscard]] Filters filters() const;

    // Records in this log that came through this bridge, also before the process: those that are
    // durable.
    [[nodiscard]] std::uint64_t accepted() const { return accepted_; }

    [[nodiscard]] bool waits_for_log() const { return waits_for_log_; }

    void note(std::string_view kind, std::string_view text) const { wiring_.notice(kind, text); }

    // The network thread: a token of ours is durable; there may be room again; the end.
    void acked(const AckToken& token);
    void retry();
    void park();

private:
    enum class Answer : std::uint8_t { done, when_durable, later };

    struct Lane {
        explicit Lane(std::function<void()> wake)
            : crossing(std::move(wake)) {}

        Crossing crossing;
        std::uint32_t generation = 0;
        bool is_in_group = false;
        bool is_put_off = false;  // the log takes nothing at the moment
    };

    void look(std::size_t lane);
    Answer take(const mqtt::Publish& publish, AckToken token);
    Answer take(Release release, AckToken token);
    Answer take(const Filters* filters, AckToken token);
    Answer take_qos_2(const mqtt::Publish& publish, AckToken token);
    mqtt::Taken write(
        const mqtt::Publish& publish,
        AckToken token,
        const std::optional<listener::Remembered>& sent
    );
    bool change(const Buffer& change, AckToken token);

    Wiring wiring_;
    std::string row_key_;
    std::string client_id_;
    Peer peer_;
    Stats* stats_;
    std::uint32_t connection_ = connection_first;
    mutable std::mutex mutex_;
    BrokerSession session_;                    // written by the network thread, under the mutex
    std::atomic<std::uint64_t> accepted_ = 0;  // written by the network thread
    std::atomic<bool> waits_for_log_ = false;
    std::array<Lane, 2> lanes_;  // Paho's thread, the bridge's own
};

}  // namespace milepost::bridge
