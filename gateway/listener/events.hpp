#pragma once

#include "gateway/listener/session_table.hpp"
#include "gateway/mqtt/packet.hpp"
#include "storage/base/ack_token.hpp"
#include "storage/base/bytes.hpp"
#include "storage/base/time.hpp"

#include <optional>
#include <string_view>

namespace milepost::listener {

// What the listener hands on; app gives it. Called on the network thread.
class Events {
public:
    Events() = default;
    Events(const Events&) = delete;
    Events& operator=(const Events&) = delete;
    virtual ~Events() = default;

    // A turn of the event loop begins: the wall time of what it reads.
    virtual void on_turn(Timestamp now) = 0;
    // To be written; `change`, if not empty, becomes part of the session's state with it, or
    // neither does.
    virtual mqtt::Taken on_publish(
        const mqtt::Publish& publish,
        std::string_view client_id,
        AckToken token,
        Bytes change
    ) = 0;
    // The log has it already: the token comes back when that copy is durable, and nothing is
    // written.
    virtual void on_duplicate(const mqtt::Publish& publish, AckToken token) = 0;
    // Not allowed: nothing is written; a token with a packet id comes back in its turn.
    virtual void on_forbidden(const mqtt::Publish& publish, AckToken token) = 0;
    virtual void on_forbidden_will() = 0;
    // A change of a session's state to be made durable without a publish. False: not possible now.
    virtual bool on_change(
        std::string_view client_id,
        Bytes change,
        std::optional<AckToken> token
    ) = 0;
    // Later: it is offered again when intake opens.
    virtual mqtt::Taken on_will(const StoredWill& will, std::string_view client_id) = 0;
    // Whether a record with changes of so many bytes in all fits into the open group, or would be
    // alone in one.
    [[nodiscard]] virtual bool has_room(std::size_t bytes) const = 0;
    // Whether those who send much may add to the open group; else they wait until it is committed.
    [[nodiscard]] virtual bool wants_more() const = 0;

    // To be made durable; with a token, acked() then brings it back. False: not possible now.
    virtual bool on_session(const SessionChange& change, std::optional<AckToken> token) = 0;
    // Only brings the token back with the next group.
    virtual void on_ride(AckToken token) = 0;
    // Everything readable has been read: commit.
    virtual void on_turn_end() = 0;
    // One line for the log; rate-limited by the receiver.
    virtual void on_notice(std::string_view kind, std::string_view text) = 0;
};

}  // namespace milepost::listener
