// Devices by the thousand, or one that misbehaves; MQTT 3.1.1, one thread, one epoll set, so that
// the server is what is measured. Prints one JSON line.
//   mqtt_crowd storm   connects them all at once; waits for a server that is not there yet, tries
//                      again where it is refused (--retry-ms), then holds the connections until its
//                      stdin ends
//   mqtt_crowd flood   one device that publishes QoS 1 as fast as its socket takes it, and reads
//                      its PUBACKs (--deaf 1: never; --read-ms N: some of them every N ms)
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
    int port = 1883;
    int connections = 10'000;
    int users = 1;
    int clean = 1;
    int keep_alive_s = 0;
    int retry_ms = 0;  // 0: who is refused stays away
    int deaf = 0;
    int read_ms = 0;  // 0: as they come
    double seconds = 60;
    std::size_t payload_bytes = 200;
    std::string prefix = "crowd-";
    std::string user;      // {}: a number below --users; none: anonymous
    std::string password;  // {} likewise
};

[[noreturn]] void fail(const std::string& what) {
    std::cerr << "mqtt_crowd: " << what << ": " << std::strerror(errno) << '\n';
    std::exit(1);
}

double since(Clock::time_point then) {
    return std::chrono::duration<double>(Clock::now() - then).count();
}

std::string with_number(std::string text, int number) {
    if (const auto at = text.find("{}"); at != std::string::npos) {
        text.replace(at, 2, std::to_string(number));
    }
    return text;
}

void append_text(std::string& out, std::string_view text) {
    out += static_cast<char>(text.size() >> 8U);
    out += static_cast<char>(text.size() & 0xFFU);
    out += text;
}

std::string packet(char first, const std::string& body) {
    std::string out{first};
    std::size_t rest = body.size();
    do {
        auto digit = static_cast<unsigned char>(rest & 0x7FU);
        rest >>= 7U;
        if (rest > 0) digit |= 0x80U;
        out += static_cast<char>(digit);
    } while (rest > 0);
    return out + body;
}

std::string connect_packet(const Options& options, int index) {
    std::string body;
    append_text(body, "MQTT");
    body += '\4';
    const unsigned login = options.user.empty() ? 0U : 0xC0U;
    body += static_cast<char>((options.clean != 0 ? 2U : 0U) | login);
    body += static_cast<char>(options.keep_alive_s >> 8);
    body += static_cast<char>(options.keep_alive_s & 0xFF);
    append_text(body, options.prefix + std::to_string(index));
    if (login != 0) {
        append_text(body, with_number(options.user, index % options.users));
        append_text(body, with_number(options.password, index % options.users));
    }
    return packet('\x10', body);
}

// A socket whose connection is on its way, or -1: nobody listens.
int begin_connection(int port) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (socket < 0) fail("socket");
    const int yes = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const auto* plain = reinterpret_cast<const sockaddr*>(&address);
    if (::connect(socket, plain, sizeof address) == 0 || errno == EINPROGRESS) return socket;
    const int error = errno;
    ::close(socket);
    errno = error;
    if (error != ECONNREFUSED) fail("connect");
    return -1;
}

// Whether the connection that `socket` has begun is made; closes it.
bool is_answered(int waiting, int socket) {
    int error = 0;
    socklen_t length = sizeof error;
    epoll_event event{EPOLLOUT, {}};
    ::epoll_ctl(waiting, EPOLL_CTL_ADD, socket, &event);
    const int ready = ::epoll_wait(waiting, &event, 1, 1000);
    ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length);
    ::close(socket);
    return ready == 1 && error == 0;
}

// Until somebody listens, every 2 ms.
void wait_for_server(const Options& options, Clock::time_point begin) {
    const int waiting = ::epoll_create1(0);
    while (since(begin) < options.seconds) {
        const int socket = begin_connection(options.port);
        if (socket >= 0 && is_answered(waiting, socket)) {
            ::close(waiting);
            return;
        }
        epoll_event event{};
        ::epoll_wait(waiting, &event, 1, 2);
    }
    fail("nobody listens");
}

class Storm {
public:
    explicit Storm(const Options& options)
        : options_(options)
        , sockets_(static_cast<std::size_t>(options.connections), -1) {}

    void run() {
        const auto begin = Clock::now();
        wait_for_server(options_, begin);
        const double waited = since(begin);
        epoll_ = ::epoll_create1(0);
        const auto first = Clock::now();
        for (int i = 0; i < options_.connections; ++i) {
            open(i);
            if (i % 64 == 63) look(0);
        }
        while (open_ + given_up_ < options_.connections && since(begin) < options_.seconds) {
            open_due();
            look(retries_.empty() ? 1000 : 1);
        }
        std::printf(
            "{\"connected\":%d,\"session_present\":%d,\"refusals\":%d,\"broken\":%d,"
            "\"waited_s\":%.3f,\"storm_s\":%.3f}\n",
            open_,
            present_,
            refusals_,
            broken_,
            waited,
            since(first)
        );
        std::fflush(stdout);
        std::string line;
        while (std::getline(std::cin, line)) {
        }
    }

private:
    void open(int index) {
        const int socket = begin_connection(options_.port);
        if (socket < 0) return again(index);
        sockets_[static_cast<std::size_t>(index)] = socket;
        epoll_event event{EPOLLOUT, {}};
        event.data.u32 = static_cast<std::uint32_t>(index);
        ::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &event);
    }

    void again(int index) {
        if (options_.retry_ms == 0) {
            ++given_up_;
            return;
        }
        retries_.emplace(Clock::now() + std::chrono::milliseconds{options_.retry_ms}, index);
    }

    void open_due() {
        while (!retries_.empty() && retries_.begin()->first <= Clock::now()) {
            const int index = retries_.begin()->second;
            retries_.erase(retries_.begin());
            open(index);
        }
    }

    void look(int wait_ms) {
        std::array<epoll_event, 512> events{};
        const int count =
            ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait_ms);
        for (int i = 0; i < count; ++i) {
            const epoll_event& event = events[static_cast<std::size_t>(i)];
            const int index = static_cast<int>(event.data.u32);
            if ((event.events & EPOLLOUT) != 0) {
                say_hello(index);
            } else {
                hear(index);
            }
        }
    }

    void say_hello(int index) {
        const int socket = sockets_[static_cast<std::size_t>(index)];
        const std::string hello = connect_packet(options_, index);
        if (::send(socket, hello.data(), hello.size(), MSG_NOSIGNAL) !=
            static_cast<ssize_t>(hello.size())) {
            return lose(index, broken_);
        }
        epoll_event event{EPOLLIN, {}};
        event.data.u32 = static_cast<std::uint32_t>(index);
        ::epoll_ctl(epoll_, EPOLL_CTL_MOD, socket, &event);
    }

    void hear(int index) {
        std::array<char, 4> connack{};
        const int socket = sockets_[static_cast<std::size_t>(index)];
        if (::recv(socket, connack.data(), connack.size(), 0) != 4 || connack[0] != '\x20') {
            return lose(index, broken_);
        }
        if (connack[3] != 0) return lose(index, refusals_);
        ++open_;
        present_ += connack[2];
        ::epoll_ctl(epoll_, EPOLL_CTL_DEL, socket, nullptr);
    }

    void lose(int index, int& counted) {
        ++counted;
        ::close(sockets_[static_cast<std::size_t>(index)]);
        again(index);
    }

    Options options_;
    std::vector<int> sockets_;
    std::multimap<Clock::time_point, int> retries_;
    int epoll_ = -1;
    int open_ = 0;
    int present_ = 0;
    int refusals_ = 0;
    int broken_ = 0;
    int given_up_ = 0;
};

// Publishes for a second's work of the fastest server, one behind the other, with rising packet
// ids.
std::string many_publishes(const Options& options) {
    std::string all;
    for (unsigned id = 1; id <= 0xFFFF; ++id) {
        std::string body;
        append_text(body, "vehicles/FLOOD/telemetry");
        body += static_cast<char>(id >> 8U);
        body += static_cast<char>(id & 0xFFU);
        body.append(options.payload_bytes, 'x');
        all += packet('\x32', body);
    }
    return all;
}

// Of one that reads slowly: 25 PUBACKs.
constexpr std::size_t slow_read_bytes = 100;

// Looks for PUBACKs only from `read_at` on.
void watch_slowly(int epoll, int socket, epoll_event& event, Clock::time_point read_at) {
    const bool may_read = Clock::now() >= read_at;
    event.events = EPOLLOUT | (may_read ? static_cast<unsigned>(EPOLLIN) : 0U);
    ::epoll_ctl(epoll, EPOLL_CTL_MOD, socket, &event);
}

void flood(const Options& options) {
    const auto begin = Clock::now();
    wait_for_server(options, begin);
    const int socket = begin_connection(options.port);
    const int epoll = ::epoll_create1(0);
    const bool reads = options.deaf == 0;
    epoll_event event{EPOLLOUT, {}};
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event);
    ::epoll_wait(epoll, &event, 1, 1000);
    const std::string hello = connect_packet(options, 0);
    if (::send(socket, hello.data(), hello.size(), MSG_NOSIGNAL) < 0) fail("send");
    event.events = EPOLLOUT | (reads ? static_cast<unsigned>(EPOLLIN) : 0U);
    ::epoll_ctl(epoll, EPOLL_CTL_MOD, socket, &event);
    const std::string publishes = many_publishes(options);
    std::array<char, 65536> buffer{};
    const std::size_t read_max = options.read_ms == 0 ? buffer.size() : slow_read_bytes;
    auto read_at = Clock::now();
    std::uint64_t sent = 0;
    std::uint64_t heard = 0;
    bool is_closed = false;
    const auto start = Clock::now();
    while (!is_closed && since(start) < options.seconds) {
        if (options.read_ms > 0) watch_slowly(epoll, socket, event, read_at);
        if (::epoll_wait(epoll, &event, 1, options.read_ms > 0 ? options.read_ms : 100) < 1)
            continue;
        if ((event.events & (EPOLLERR | EPOLLHUP)) != 0) is_closed = true;
        if ((event.events & EPOLLIN) != 0) {
            const ssize_t got = ::recv(socket, buffer.data(), read_max, MSG_DONTWAIT);
            read_at = Clock::now() + std::chrono::milliseconds{options.read_ms};
            if (got == 0 || (got < 0 && errno != EAGAIN)) is_closed = true;
            if (got > 0) heard += static_cast<std::uint64_t>(got);
        }
        if ((event.events & EPOLLOUT) != 0) {
            const std::size_t at = sent % publishes.size();
            const std::size_t most = std::min<std::size_t>(publishes.size() - at, 1U << 20U);
            const ssize_t put =
                ::send(socket, publishes.data() + at, most, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (put < 0 && errno != EAGAIN) is_closed = true;
            if (put > 0) sent += static_cast<std::uint64_t>(put);
        }
    }
    const double seconds = since(start);
    std::printf(
        "{\"is_closed\":%s,\"seconds\":%.2f,\"sent_bytes\":%llu,\"acked_per_s\":%.0f}\n",
        is_closed ? "true" : "false",
        seconds,
        static_cast<unsigned long long>(sent),
        static_cast<double>(heard / 4) / seconds
    );
}

Options parse(int argc, char** argv) {
    Options options;
    for (int i = 2; i + 1 < argc; i += 2) {
        const std::string_view flag = argv[i];
        const std::string value = argv[i + 1];
        if (flag == "--port")
            options.port = std::stoi(value);
        else if (flag == "--connections")
            options.connections = std::stoi(value);
        else if (flag == "--users")
            options.users = std::stoi(value);
        else if (flag == "--clean")
            options.clean = std::stoi(value);
        else if (flag == "--keep-alive")
            options.keep_alive_s = std::stoi(value);
        else if (flag == "--retry-ms")
            options.retry_ms = std::stoi(value);
        else if (flag == "--deaf")
            options.deaf = std::stoi(value);
        else if (flag == "--read-ms")
            options.read_ms = std::stoi(value);
        else if (flag == "--seconds")
            options.seconds = std::stod(value);
        else if (flag == "--payload")
            options.payload_bytes = std::stoul(value);
        else if (flag == "--prefix")
            options.prefix = value;
        else if (flag == "--user")
            options.user = value;
        else if (flag == "--password")
            options.password = value;
        else
            fail("unknown flag " + std::string{flag});
    }
    return options;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string_view what = argc > 1 ? argv[1] : "";
    const Options options = parse(argc, argv);
    std::signal(SIGPIPE, SIG_IGN);
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    if (what == "storm") {
        Storm{options}.run();
    } else if (what == "flood") {
        flood(options);
    } else {
        std::cerr << "usage: mqtt_crowd storm|flood --port PORT …\n";
        return 64;
    }
    return 0;
}
