#pragma once

#include "gateway/listener/publish_memory.hpp"
#include "gateway/listener/subscriber_state.hpp"
#include "storage/base/bytes.hpp"
#include "storage/base/time.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

// What a kept session is on the disk: storage/FORMAT.md, "Session states". A state is a row of
// changes, and a change put behind a state is a state; the log and the Keeper know no more of it.
// Pure; merge_session_states() runs on the checkpointer's thread.
namespace milepost::listener {

struct SessionState {
    std::uint32_t expiry_s = 0;
    Timestamp disconnected_at = timestamp_none;  // none: connected
    PublishMemory memory;
    SubscriberState subscriber;
    std::uint64_t accepted = 0;  // of a bridge: records that it has put into this log
};

// Encoded changes; those of subscribers are subscriber_state's. The longest takes
// session_change_bytes_max.
inline constexpr std::size_t session_change_bytes_max = 13;

class SessionChangeBytes {
public:
    // The session has this expiry, and is connected or not, from now on.
    static SessionChangeBytes header(std::uint32_t expiry_s, Timestamp disconnected_at);
    // A QoS 1 publish was written.
    static SessionChangeBytes published(Remembered publish);
    // A QoS 2 publish was written; its PUBREL has not come.
    static SessionChangeBytes received(Remembered publish);
    // A bridge has put so many records into the log, in all.
    static SessionChangeBytes accepted(std::uint64_t count);
    // The PUBREL has come.
    static SessionChangeBytes released(mqtt::PacketId packet_id);

    [[nodiscard]] Bytes bytes() const { return Bytes{bytes_}.first(size_); }

private:
    template <std::integral T>
    SessionChangeBytes& add(T value);

    std::array<std::byte, session_change_bytes_max> bytes_{};
    std::size_t size_ = 0;
};

[[nodiscard]] Buffer encode_session_state(const SessionState& state);
// nullopt: no header in it, or bytes that are no change.
[[nodiscard]] std::optional<SessionState> decode_session_state(Bytes bytes);

// A storage::SessionMerge. Changes that are in the state already change nothing. Of the messages
// that are kept beside the sessions (broker/stored_rows) the last one stays.
[[nodiscard]] Buffer merge_session_states(Bytes state, std::span<const Bytes> changes);

// As a Keeper folds one delta: an empty one ends the session.
[[nodiscard]] Buffer fold_session_state(Bytes state, Bytes delta);

}  // namespace milepost::listener
