#include "gateway/listener/connection.hpp"

#include <cerrno>
#include <utility>

#include <sys/socket.h>
#include <unistd.h>

namespace milepost::listener {

Connection::~Connection() {
    ::close(socket_);
}

void Connection::begin_tls(std::shared_ptr<const TlsServer> server) {
    tls_ = std::make_unique<TlsStream>(std::move(server), socket_);
    is_shaking_hands = true;
}

std::optional<std::size_t> Connection::receive(MutableBytes to) {
    if (tls_) return tls_->read(to);
    const ssize_t got = ::recv(socket_, to.data(), to.size(), MSG_DONTWAIT);
    if (got > 0) return static_cast<std::size_t>(got);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    return std::nullopt;
}

std::optional<std::size_t> Connection::write(Bytes bytes) {
    if (tls_) return tls_->write(bytes);
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) return static_cast<std::size_t>(sent);
    if (errno == EAGAIN || errno == EINTR) return 0;
    return std::nullopt;
}

bool Connection::send(Bytes bytes) {
    if (!unsent_.empty()) {
        append_bytes(unsent_, bytes);
        return true;
    }
    const auto sent = write(bytes);
    if (!sent) return false;
    if (*sent < bytes.size()) append_bytes(unsent_, bytes.subspan(*sent));
    return true;
}

bool Connection::deliver(Bytes bytes) {
    const std::size_t before = unsent_.size();
    const bool is_whole = send(bytes);
    unsent_delivery_bytes_ += unsent_.size() - before;
    return is_whole;
}

bool Connection::flush() {
    if (unsent_.empty()) return true;
    const auto sent = write(unsent_);
    if (!sent) return false;
    has_sent_ = has_sent_ || *sent > 0;
    unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<std::ptrdiff_t>(*sent));
    if (unsent_.empty()) {
        unsent_ = Buffer{};
        unsent_delivery_bytes_ = 0;
    }
    return true;
}

void Connection::close_output() {
    if (tls_) tls_->close();
    ::shutdown(socket_, SHUT_WR);
}

}  // namespace milepost::listener
