#include "firmware-sim/link_process.hpp"

#include "sensors/payload.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

namespace milepost::fleet {

namespace {

enum class CommandKind : std::uint8_t { connect, publish, disconnect, step };

// In the child: where its two descriptors are put, before all others are closed.
constexpr int child_socket = 3;
constexpr int child_events = 4;

}  // namespace

// One message on the socket; a publish's payload follows it.
struct LinkProcess::Command {
    CommandKind kind{};
    std::uint64_t seq = 0;
    LinkEvent answer{};

    // The life of the child process.
    [[noreturn]] static void serve(
        const LinkSettings& settings,
        std::uint32_t vehicle,
        const LinkIdentity& identity
    );
};

void LinkProcess::Command::serve(
    const LinkSettings& settings,
    std::uint32_t vehicle,
    const LinkIdentity& identity
) {
    const EventSink sink{child_events};
    PahoLink link{settings, vehicle, identity, sink};
    std::string payload(sensors::payload_bytes_max, '\0');
    for (;;) {
        Command command{};
        std::array<iovec, 2> parts{{
            {.iov_base = &command, .iov_len = sizeof command},
            {.iov_base = payload.data(), .iov_len = payload.size()},
        }};
        const ssize_t got = ::readv(child_socket, parts.data(), parts.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < static_cast<ssize_t>(sizeof command)) ::_exit(0);  // the fleet is gone
        switch (command.kind) {
            case CommandKind::connect: link.connect(); break;
            case CommandKind::disconnect: link.disconnect(); break;
            case CommandKind::step: link.step(command.answer); break;
            case CommandKind::publish: {
                const auto length = static_cast<std::size_t>(got) - sizeof command;
                if (link.publish(command.seq, payload.substr(0, length))) break;
                sink.push({
                    .kind = LinkEventKind::given_back,
                    .vehicle = vehicle,
                    .seq = command.seq,
                });
                break;
            }
        }
    }
}

LinkProcess::LinkProcess(
    LinkSettings settings,
    std::uint32_t vehicle,
    LinkIdentity identity,
    const Inbox& inbox
)
    : settings_(std::move(settings))
    , vehicle_(vehicle)
    , identity_(std::move(identity))
    , inbox_(&inbox) {}

LinkProcess::~LinkProcess() {
    stop();
}

void LinkProcess::connect() {
    if (socket_ < 0 && !start()) return post(LinkEventKind::connect_failed);
    if (!send({.kind = CommandKind::connect}, {})) post(LinkEventKind::connect_failed);
}

bool LinkProcess::publish(std::uint64_t seq, const std::string& payload) {
    if (socket_ < 0) return false;
    if (send({.kind = CommandKind::publish, .seq = seq}, payload)) return true;
    if (socket_ < 0) post(LinkEventKind::lost);
    return false;
}

void LinkProcess::disconnect() {
    if (!send({.kind = CommandKind::disconnect}, {})) post(LinkEventKind::disconnected);
}

void LinkProcess::step(const LinkEvent& answer) {
    if (!send({.kind = CommandKind::step, .answer = answer}, {})) {
        post(LinkEventKind::connect_failed);
    }
}

void LinkProcess::cut() {
    if (socket_ < 0) return;
    stop();
    // Of the two the one counts that is the end of what the connection was.
    post(LinkEventKind::lost);
    post(LinkEventKind::connect_failed);
}

bool LinkProcess::start() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) return false;
    process_ = ::fork();
    if (process_ < 0) {
        ::close(ends[0]);
        ::close(ends[1]);
        return false;
    }
    if (process_ == 0) {
        // Two steps: either descriptor may be where the other one goes.
        const int socket = ::fcntl(ends[1], F_DUPFD, child_events + 1);
        const int events = ::fcntl(inbox_->write_fd(), F_DUPFD, child_events + 1);
        ::dup2(socket, child_socket);
        ::dup2(events, child_events);
        ::close_range(child_events + 1, ~0U, 0);
        Command::serve(settings_, vehicle_, identity_);
    }
    ::close(ends[1]);
    socket_ = ends[0];
    return true;
}

// False if the process is gone (it is then forgotten) or has a full socket.
bool LinkProcess::send(const Command& command, const std::string& payload) {
    if (socket_ < 0) return false;
    // sendmsg() and writev() take what they only read as mutable.
    // NOLINTBEGIN(cppcoreguidelines-pro-type-const-cast)
    std::array<iovec, 2> parts{{
        {.iov_base = const_cast<Command*>(&command), .iov_len = sizeof command},
        {.iov_base = const_cast<char*>(payload.data()), .iov_len = payload.size()},
    }};
    // NOLINTEND(cppcoreguidelines-pro-type-const-cast)
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    ssize_t sent = -1;
    do {
        sent = ::sendmsg(socket_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0) return true;
    if (errno != EAGAIN && errno != ENOBUFS) stop();
    return false;
}

void LinkProcess::post(LinkEventKind kind) const {
    inbox_->sink().push({
        .kind = kind,
        .vehicle = vehicle_,
        .at = monotonic_now(),
        .wall = wall_now(),
    });
}

void LinkProcess::stop() {
    if (socket_ < 0) return;
    ::close(std::exchange(socket_, -1));
    // It has nothing left to save, and it may wait for room in the pipe that we read.
    ::kill(process_, SIGKILL);
    ::waitpid(std::exchange(process_, -1), nullptr, 0);
}

}  // namespace milepost::fleet
