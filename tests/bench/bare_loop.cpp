// The least that a server can do before a PUBACK: read everything that is there, append it to a
// file that exists already, fdatasync, acknowledge. No log, no partitions, no format, no recovery.
// What tests/bench compares milepostd with in the same run. bare_loop PORT FILE [thread]: with
// `thread` the sync is another thread's, which on a slow disk overlaps with reading. How many it
// acknowledged, for who would forward as many, stands in FILE.count: a 64-bit number, mapped.
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

constexpr std::size_t file_bytes = 64U << 20U;
constexpr std::size_t puback_bytes = 4;

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
    Server(int port, const char* path, bool has_thread) {
        open_file(path);
        map_count(std::string{path} + ".count");
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
        if (has_thread) begin_thread();
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
                } else if (socket == landed_) {
                    land();
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

    void map_count(const std::string& path) {
        const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0644);
        if (file < 0 || ::ftruncate(file, sizeof *count_) != 0) fail(path.c_str());
        void* const mapped =
            ::mmap(nullptr, sizeof *count_, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (mapped == MAP_FAILED) fail("mmap");
        count_ = static_cast<std::atomic<std::uint64_t>*>(mapped);
        ::close(file);
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
        if (group_.empty() || is_flying_) return;
        flying_.swap(group_);
        for (const int socket : waiting_) {
            acks_.emplace_back(socket, std::move(clients_[static_cast<std::size_t>(socket)].acks));
            clients_[static_cast<std::size_t>(socket)].acks.clear();
        }
        waiting_.clear();
        if (begun_ < 0) {
            write();
            return acknowledge();
        }
        is_flying_ = true;
        signal(begun_);
    }

    void write() {
        if (position_ + flying_.size() > file_bytes) position_ = 0;
        if (::pwrite(file_, flying_.data(), flying_.size(), static_cast<off_t>(position_)) < 0)
            fail("pwrite");
        if (::fdatasync(file_) != 0) fail("fdatasync");
        position_ += flying_.size();
        flying_.clear();
    }

    void acknowledge() {
        std::uint64_t count = 0;
        for (const auto& [socket, acks] : acks_) {
            ::send(socket, acks.data(), acks.size(), MSG_NOSIGNAL);
            count += acks.size() / puback_bytes;
        }
        acks_.clear();
        count_->fetch_add(count, std::memory_order_relaxed);
    }

    // The thread has `flying_` from begun_ to landed_.
    void begin_thread() {
        begun_ = ::eventfd(0, 0);
        landed_ = ::eventfd(0, EFD_NONBLOCK);
        if (begun_ < 0 || landed_ < 0) fail("eventfd");
        watch(landed_);
        std::thread{[this] {
            std::uint64_t count = 0;
            while (::read(begun_, &count, sizeof count) == sizeof count) {
                write();
                signal(landed_);
            }
        }}.detach();
    }

    void land() {
        std::uint64_t count = 0;
        if (::read(landed_, &count, sizeof count) != sizeof count) return;
        is_flying_ = false;
        acknowledge();
    }

    static void signal(int descriptor) {
        const std::uint64_t one = 1;
        if (::write(descriptor, &one, sizeof one) != sizeof one) fail("eventfd");
    }

    int file_ = -1;
    std::atomic<std::uint64_t>* count_ = nullptr;
    int listener_ = -1;
    int epoll_ = -1;
    std::size_t position_ = 0;
    int begun_ = -1;  // eventfds of the thread; -1: there is none
    int landed_ = -1;
    bool is_flying_ = false;
    std::string group_;
    std::vector<int> waiting_;
    std::string flying_;
    std::vector<std::pair<int, std::string>> acks_;  // of `flying_`
    std::vector<Client> clients_;
    std::array<char, 131072> buffer_{};
};

}  // namespace

int main(int argc, char** argv) {
    const bool has_thread = argc == 4 && std::string_view{argv[3]} == "thread";
    if (argc != 3 && !has_thread) {
        std::fprintf(stderr, "usage: bare_loop PORT FILE [thread]\n");
        return 64;
    }
    std::signal(SIGPIPE, SIG_IGN);
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    static Server server{std::atoi(argv[1]), argv[2], has_thread};
    server.run();
}
