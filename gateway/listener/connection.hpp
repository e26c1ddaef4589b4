#pragma once

#include "gateway/listener/rate_limit.hpp"
#include "gateway/listener/session_table.hpp"
#include "gateway/listener/tls.hpp"
#include "gateway/mqtt/keep_alive.hpp"
#include "gateway/mqtt/session.hpp"
#include "storage/base/bytes.hpp"
#include "storage/base/time.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace milepost::listener {

// A SUBSCRIBE or UNSUBSCRIBE whose answer waits for the disk.
struct PendingSuback {
    mqtt::Ticket ticket;
    std::vector<mqtt::ReasonCode> codes;
    std::vector<broker::RetainedScan> scans;  // begin when it is answered
};

// One client socket and what belongs to it. Makes no decisions; the listener does. Small: an idle
// connection has no buffers (goal: 1.5 KiB in all). Thread: the network's.
class Connection {
public:
    Connection(
        int socket,
        std::uint32_t index,
        std::uint32_t generation,
        std::uint16_t endpoint,
        const mqtt::Limits& limits
    )
        : session(limits)
        , socket_(socket)
        , index_(index)
        , generation_(generation)
        , endpoint_(endpoint) {}

    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    [[nodiscard]] int socket() const { return socket_; }

    [[nodiscard]] std::uint32_t index() const { return index_; }

    [[nodiscard]] std::uint32_t generation() const { return generation_; }

    // Which of Options::endpoints it came in by.
    [[nodiscard]] std::uint16_t endpoint() const { return endpoint_; }

    // From now on the socket speaks TLS: handshake() comes before anything else.
    void begin_tls(std::shared_ptr<const TlsServer> server);

    // nullptr: plain.
    [[nodiscard]] TlsStream* tls() const { return tls_.get(); }

    // How many bytes came, 0 if none are there now. nullopt: the connection is over.
    std::optional<std::size_t> receive(MutableBytes to);

    // Input that the poller will not report.
    [[nodiscard]] bool has_more_input() const { return tls_ && tls_->has_more(); }

    // Nothing more is sent, and the other side is told.
    void close_output();

    // Sends `bytes`, or keeps what the socket does not take for flush(). False: the socket is
    // broken.
    bool send(Bytes bytes);
    // The same, for messages to a subscriber: they do not count as answers.
    bool deliver(Bytes bytes);
    // Sends what was kept. False: the socket is broken.
    bool flush();

    [[nodiscard]] std::size_t unsent_bytes() const { return unsent_.size(); }

    // Of them, what is not messages: a device that does not read its answers is not read either.
    [[nodiscard]] std::size_t unsent_answer_bytes() const {
        return unsent_.size() - std::min(unsent_.size(), unsent_delivery_bytes_);
    }

    // Whether the socket has taken anything since the last call.
    [[nodiscard]] bool take_progress() { return std::exchange(has_sent_, false); }

    mqtt::Session session;
    mqtt::KeepAlive keep_alive;
    Buffer input;                  // the front of a packet that is not whole yet, or not taken yet
    std::size_t input_wanted = 0;  // bytes of `input` that make another look worth while
    SessionTable::Entry* entry = nullptr;  // from on_connect until the end
    std::unique_ptr<StoredWill> will;
    std::unique_ptr<std::deque<PendingSuback>> subacks;  // in the order of their tokens
    std::optional<std::uint32_t> leaving_expiry_s;       // its DISCONNECT said so
    std::string user;                                    // vouched for; empty: nobody
    std::uint16_t receive_maximum = 0xFFFF;              // the device's
    mqtt::Awaits awaits = mqtt::Awaits::bytes;
    bool is_reading = true;           // the poller reports input
    bool is_writing = false;          // the poller reports room for output
    bool is_shaking_hands = false;    // TLS: nothing else may be sent or read yet
    bool is_certified = false;        // TLS: a client certificate was verified
    bool is_queued = false;           // already among those that the turn's end looks at
    bool is_over_rate = false;        // not read until its Deadline::Kind::rate
    bool sends_much = false;          // its last read brought more than a few readings
    bool is_put_off = false;          // for the next group; not read until its turn
    bool is_write_watched = false;    // has a Deadline::Kind::write
    std::unique_ptr<RateLimit> rate;  // null: no limit is configured
    std::uint64_t address = 0;        // counted under; 0: not counted

private:
    // How many of the bytes were taken. nullopt: the socket is broken.
    std::optional<std::size_t> write(Bytes bytes);

    bool has_sent_ = false;
    Buffer unsent_;
    std::size_t unsent_delivery_bytes_ = 0;  // at most; until all is sent
    std::unique_ptr<TlsStream> tls_;
    int socket_;
    std::uint32_t index_;
    std::uint32_t generation_;
    std::uint16_t endpoint_;
};

}  // namespace milepost::listener
