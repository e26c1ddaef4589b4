#include "firmware-sim/direct_link.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <string_view>
#include <utility>

#include <sys/socket.h>
#include <unistd.h>

namespace milepost::fleet {

namespace {

constexpr std::chrono::seconds connect_timeout{10};
constexpr std::size_t read_bytes = 16'384;

}  // namespace

DirectLink::DirectLink(
    Network& network,
    const LinkSettings& settings,
    std::uint32_t vehicle,
    const LinkIdentity& identity,
    const TlsContext* tls
)
    : network_(&network)
    , vehicle_(vehicle)
    , host_(&settings.host)
    , tls_context_(tls)
    , session_(settings, identity) {
    network_->add(*this);
}

DirectLink::~DirectLink() {
    close();
    network_->remove(*this);
}

void DirectLink::connect() {
    const Instant now = monotonic_now();
    began_ = now;
    const auto dialled = network_->dial(*this);
    if (!dialled) {
        events_.push_back({.kind = LinkEventKind::connect_failed});
        return post_all(now);
    }
    fd_ = dialled->fd;
    address_ = dialled->address;
    is_watching_writing_ = true;
    phase_ = Phase::dialling;
}

bool DirectLink::publish(std::uint64_t seq, const std::string& payload) {
    if (phase_ != Phase::open || !session_.publish(seq, payload, unsent_, events_)) return false;
    const Instant now = monotonic_now();
    // A connection that breaks here is reported, and the reading is in flight: sent again, or
    // taken back, when there is a connection again.
    if (!flush(now)) fail();
    post_all(now);
    return true;
}

// The end comes when the gateway closes its side, so that it has read DISCONNECT.
void DirectLink::disconnect() {
    const Instant now = monotonic_now();
    if (phase_ != Phase::open) {
        close();
        events_.push_back({.kind = LinkEventKind::disconnected});
        return post_all(now);
    }
    wire::append_disconnect(unsent_);
    phase_ = Phase::leaving;
    if (!flush(now)) fail();
    post_all(now);
}

void DirectLink::abandon() {
    close();
    session_.forget();
    events_.clear();
}

void DirectLink::cut() {
    fail();
    post_all(monotonic_now());
}

void DirectLink::on_ready(bool is_readable, bool is_writable, Instant now) {
    if (phase_ == Phase::dialling && is_writable) begin(now);
    if (fd_ < 0) return;
    // What is there is read before a connection is given up: answers may be among it.
    if ((is_readable && !read(now)) || !flush(now)) fail();
    post_all(now);
}

// The connection stands, or failed.
void DirectLink::begin(Instant now) {
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
        network_->note_failure(address_);
        fail();
        return post_all(now);
    }
    phase_ = Phase::waiting;
    if (tls_context_ != nullptr) tls_.emplace(*tls_context_, *host_);
    session_.begin(unsent_);
}

bool DirectLink::read(Instant now) {
    std::array<char, read_bytes> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    for (;;) {
        const ssize_t got = ::recv(fd_, buffer.data(), buffer.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno == EAGAIN;
        if (got == 0) return false;
        last_received_ = now;
        const auto count = static_cast<std::size_t>(got);
        if (phase_ == Phase::leaving) continue;
        if (!take({buffer.data(), count})) return false;
        if (count < buffer.size()) return true;  // the set says if there is more
    }
}

// What has come. False if the connection is of no use any more; what TLS has brought before that
// counts.
bool DirectLink::take(std::string_view bytes) {
    std::string plain;
    const bool goes_on = !tls_ || tls_->receive(bytes, plain);
    if (tls_) bytes = plain;
    if (!bytes.empty() && !session_.receive(bytes, unsent_, events_)) return false;
    if (session_.is_connected()) phase_ = Phase::open;
    return goes_on;
}

// Hands what is to be said to the socket. False if the connection is gone.
bool DirectLink::flush(Instant now) {
    if (phase_ == Phase::dialling) return true;
    const bool goes_on = !tls_ || tls_->send(unsent_, wire_);
    if (goes_on && tls_ && phase_ == Phase::leaving && unsent_.empty()) tls_->end(wire_);
    std::string& outgoing = tls_ ? wire_ : unsent_;
    if (!write(outgoing, now) || !goes_on) return false;
    const bool is_all_out = unsent_.empty() && wire_.empty();
    if (is_all_out) {
        session_.written(events_);
        if (phase_ == Phase::leaving) ::shutdown(fd_, SHUT_WR);
    }
    // During the handshake the CONNECT waits for the other side, not for room.
    if (outgoing.empty() == is_watching_writing_) {
        is_watching_writing_ = !outgoing.empty();
        network_->watch_writing(fd_, *this, is_watching_writing_);
    }
    return true;
}

// What the socket takes of it. False if the connection is gone.
bool DirectLink::write(std::string& bytes, Instant now) {
    std::string_view rest = bytes;
    while (!rest.empty()) {
        const ssize_t sent = ::send(fd_, rest.data(), rest.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && errno != EAGAIN) return false;
        if (sent < 0) break;
        rest.remove_prefix(static_cast<std::size_t>(sent));
        last_sent_ = now;
    }
    bytes.erase(0, bytes.size() - rest.size());
    return true;
}

void DirectLink::on_look(Instant now) {
    switch (phase_) {
        case Phase::closed:
        case Phase::leaving: return;
        case Phase::dialling:
        case Phase::waiting:
            if (now - began_ >= connect_timeout) fail();
            break;
        case Phase::open: {
            const auto patience = session_.keep_alive();
            if (patience.count() == 0) return;
            // A ping well before the gateway's time is up; its answer within as long again.
            if (session_.is_ping_awaited()) {
                if (now - last_sent_ >= patience && now - last_received_ >= patience) fail();
            } else if (now - last_sent_ >= patience * 3 / 4) {
                session_.ping(unsent_);
                if (!flush(now)) fail();
            }
            break;
        }
    }
    post_all(now);
}

// The connection is over; its end is told according to what it was.
void DirectLink::fail() {
    const Phase was = std::exchange(phase_, Phase::closed);
    TlsFailure failure = 0;
    if (tls_) {
        failure = tls_->failure();
        if (failure == 0 && !tls_->is_established()) failure = closed_in_handshake();
        // The other side should know why, if there is room.
        static_cast<void>(tls_->send(unsent_, wire_));
        static_cast<void>(write(wire_, last_sent_));
    }
    close();
    if (was == Phase::closed) return;
    const auto kind = was == Phase::open      ? LinkEventKind::lost
                      : was == Phase::leaving ? LinkEventKind::disconnected
                                              : LinkEventKind::connect_failed;
    events_.push_back({.kind = kind});
    if (kind == LinkEventKind::connect_failed) events_.back().seq = failure;
}

void DirectLink::close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));  // leaves the epoll set by that
    phase_ = Phase::closed;
    unsent_.clear();
    wire_.clear();
    tls_.reset();
    session_.end();
}

void DirectLink::post_all(Instant now) {
    if (events_.empty()) return;
    const Timestamp wall = wall_now();
    for (LinkEvent& event : events_) {
        event.vehicle = vehicle_;
        event.at = now;
        event.wall = wall;
        network_->post(event);
    }
    events_.clear();
}

}  // namespace milepost::fleet
