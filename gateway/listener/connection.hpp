#pragma once

#include "gateway/listener/session_table.hpp"
#include "gateway/mqtt/keep_alive.hpp"
#include "gateway/mqtt/session.hpp"
#include "storage/base/bytes.hpp"
#include "storage/base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace milepost::listener {

// One client socket and what belongs to it. Makes no decisions; the listener does. Small: an idle
// connection has no buffers (goal: 1.5 KiB in all). Thread: the network's.
class Connection {
public:
    Connection(
        int socket,
        std::uint32_t index,
        std::uint32_t generation,
        const mqtt::Limits& limits
    )
        : session(limits)
        , socket_(socket)
        , index_(index)
        , generation_(generation) {}

    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    [[nodiscard]] int socket() const { return socket_; }

    [[nodiscard]] std::uint32_t index() const { return index_; }

    [[nodiscard]] std::uint32_t generation() const { return generation_; }

    // Sends `bytes`, or keeps what the socket does not take for flush(). False: the socket is
    // broken.
    bool send(Bytes bytes);
    // Sends what was kept. False: the socket is broken.
    bool flush();

    [[nodiscard]] std::size_t unsent_bytes() const { return unsent_.size(); }

    mqtt::Session session;
    mqtt::KeepAlive keep_alive;
    Buffer input;                  // the front of a packet that is not whole yet, or not taken yet
    std::size_t input_wanted = 0;  // bytes of `input` that make another look worth while
    SessionTable::Entry* entry = nullptr;  // from on_connect until the end
    std::unique_ptr<StoredWill> will;
    std::optional<std::uint32_t> leaving_expiry_s;  // its DISCONNECT said so
    mqtt::Awaits awaits = mqtt::Awaits::bytes;
    bool is_reading = true;   // the poller reports input
    bool is_writing = false;  // the poller reports room for output
    bool is_queued = false;   // already among those that the turn's end looks at

private:
    Buffer unsent_;
    int socket_;
    std::uint32_t index_;
    std::uint32_t generation_;
};

}  // namespace milepost::listener
