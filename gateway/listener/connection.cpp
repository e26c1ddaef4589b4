#include "gateway/listener/connection.hpp"

#include <cerrno>

#include <sys/socket.h>
#include <unistd.h>

namespace milepost::listener {

Connection::~Connection() {
    ::close(socket_);
}

bool Connection::send(Bytes bytes) {
    if (!unsent_.empty()) {
        append_bytes(unsent_, bytes);
        return true;
    }
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return false;
    const auto done = sent < 0 ? 0 : static_cast<std::size_t>(sent);
    if (done < bytes.size()) append_bytes(unsent_, bytes.subspan(done));
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
    const ssize_t sent =
        ::send(socket_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    unsent_.erase(unsent_.begin(), unsent_.begin() + sent);
    if (unsent_.empty()) {
        unsent_ = Buffer{};
        unsent_delivery_bytes_ = 0;
    }
    return true;
}

}  // namespace milepost::listener
