// The least that a server can do before a PUBACK: read everything that is there, append it to a
// file that exists already, fdatasync, acknowledge. No log, no partitions, no format, no recovery.
// What tests/bench compares milepostd with in the same run. bare_loop PORT FILE
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

constexpr std::size_t file_bytes = 64U << 20U;

[[noreturn]] void fail(const char* what) {
    std::perror(what);
    std::exit(1);
}

struct Client {
    int socket = -1;
    std::string input;
    std::string acks;
};

class Server {
public:
    Server(int port, const char* path) {
        open_file(path);
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        const int yes = 1;
        ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
            fail("bind");
        if (::listen(listener_, 4096) != 0) fail("listen");
        epoll_ = ::epoll_create1(0);
        watch(listener_);
    }

    [[noreturn]] void run() {
        std::array<epoll_event, 256> events{};
        while (true) {
            const int count =
                ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
            for (int i = 0; i < count; ++i) {
                const int socket = events[static_cast<std::size_t>(i)].data.fd;
                if (socket == listener_) {
                    accept();
                } else {
                    read(socket);
                }
            }
            commit();
        }
    }

private:
    void open_file(const char* path) {
        file_ = ::open(path, O_RDWR | O_CREAT, 0644);
        if (file_ < 0) fail(path);
        const std::vector<char> zeros(1U << 20U);
        for (std::size_t at = 0; at < file_bytes; at += zeros.size()) {
            if (::pwrite(file_, zeros.data(), zeros.size(), static_cast<off_t>(at)) < 0)
                fail("pwrite");
        }
        ::fdatasync(file_);
    }

    void watch(int socket) const {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = socket;
        ::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &event);
    }

    void accept() {
        int socket = -1;
        while ((socket = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK)) >= 0) {
            const int yes = 1;
            ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
            if (clients_.size() <= static_cast<std::size_t>(socket)) {
                clients_.resize(static_cast<std::size_t>(socket) + 1);
            }
            clients_[static_cast<std::size_t>(socket)] = {socket, {}, {}};
            watch(socket);
        }
    }

    void read(int socket) {
        Client& client = clients_[static_cast<std::size_t>(socket)];
        const ssize_t got = ::recv(socket, buffer_.data(), buffer_.size(), 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) {
            ::close(socket);
            client = {};
            return;
        }
        std::string_view bytes{buffer_.data(), static_cast<std::size_t>(got)};
        if (!client.input.empty()) {
            client.input.append(bytes);
            bytes = client.input;
        }
        const std::size_t done = take(client, bytes);
        const std::string rest{bytes.substr(done)};
        client.input = rest;
        if (!client.acks.empty()) waiting_.push_back(socket);
    }

    // Takes whole packets; returns the bytes they had.
    std::size_t take(Client& client, std::string_view bytes) {
        std::size_t done = 0;
        while (bytes.size() - done >= 2) {
            const std::string_view rest = bytes.substr(done);
            std::size_t length = 0;
            std::size_t header = 1;
            bool whole = false;
            for (unsigned shift = 0; header < rest.size() && header < 5; shift += 7) {
                const auto digit = static_cast<unsigned char>(rest[header++]);
                length |= static_cast<std::size_t>(digit & 0x7FU) << shift;
                if ((digit & 0x80U) == 0) {
                    whole = true;
                    break;
                }
            }
            if (!whole || rest.size() < header + length) break;
            packet(client, static_cast<unsigned char>(rest[0]), rest.substr(header, length));
            done += header + length;
        }
        return done;
    }

    void packet(Client& client, unsigned char first, std::string_view body) {
        if (first >> 4U == 1) {
            ::send(client.socket, "\x20\x02\0\0", 4, MSG_NOSIGNAL);
        } else if (first >> 4U == 3) {
            const auto topic = (static_cast<std::size_t>(static_cast<unsigned char>(body[0]))
                                << 8U) |
                               static_cast<unsigned char>(body[1]);
            group_.append(body);
            client.acks.append("\x40\x02", 2);
            client.acks.append(body.substr(2 + topic, 2));
        }
    }

    void commit() {
        if (group_.empty()) return;
        if (position_ + group_.size() > file_bytes) position_ = 0;
        if (::pwrite(file_, group_.data(), group_.size(), static_cast<off_t>(position_)) < 0)
            fail("pwrite");
        if (::fdatasync(file_) != 0) fail("fdatasync");
        position_ += group_.size();
        group_.clear();
        for (const int socket : waiting_) {
            Client& client = clients_[static_cast<std::size_t>(socket)];
            ::send(socket, client.acks.data(), client.acks.size(), MSG_NOSIGNAL);
            client.acks.clear();
        }
        waiting_.clear();
    }

    int file_ = -1;
    int listener_ = -1;
    int epoll_ = -1;
    std::size_t position_ = 0;
    std::string group_;
    std::vector<int> waiting_;
    std::vector<Client> clients_;
    std::array<char, 131072> buffer_{};
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: bare_loop PORT FILE\n");
        return 64;
    }
    std::signal(SIGPIPE, SIG_IGN);
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    static Server server{std::atoi(argv[1]), argv[2]};
    server.run();
}
