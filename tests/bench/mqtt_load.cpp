// An MQTT 3.1.1 load generator: `connections` devices, each with `window` QoS 1 publishes
// unacknowledged at any time; with --rate that many a second together, in turn, whatever the server
// does, as far as the window lets them. One thread. Prints one JSON line: rate, latency percentiles
// from the write of a PUBLISH (--rate: from when it was due) to the read of its PUBACK, and what
// the server with --pid used of the CPU. --away 1: it stands for other machines, so it does not
// wait for this one's cores, nor is what it uses weighed against what the server does (as root).
#include <sched.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>
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
    int connections = 10;
    int window = 1;
    double seconds = 5;
    double warmup_seconds = 1;
    std::size_t payload_bytes = 200;
    int pid = 0;
    double rate = 0;  // publishes a second, all together; 0: as fast as the window lets them
    bool away = false;
    std::string topic = "vehicles/{}/telemetry";
    std::string prefix = "bench-";  // of client ids
};

[[noreturn]] void fail(const std::string& what) {
    std::cerr << "mqtt_load: " << what << ": " << std::strerror(errno) << '\n';
    std::exit(1);
}

// User and system seconds of a process: /proc/<pid>/stat, fields 14 and 15.
double cpu_seconds(int pid) {
    std::ifstream file{"/proc/" + std::to_string(pid) + "/stat"};
    std::string line;
    std::getline(file, line);
    const std::size_t name_end = line.rfind(')');
    if (name_end == std::string::npos) return 0;
    std::istringstream rest{line.substr(name_end + 1)};
    std::string field;
    double ticks = 0;
    for (int number = 3; rest >> field; ++number) {
        if (number == 14 || number == 15) ticks += std::stod(field);
    }
    return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

// One publish, ready to be sent but for its packet id.
struct Template {
    std::string bytes;
    std::size_t id_at = 0;
};

Template make_publish(const Options& options, int connection) {
    std::array<char, 16> name{};
    std::snprintf(name.data(), name.size(), "B%06d", connection);
    std::string topic = options.topic;
    if (const auto at = topic.find("{}"); at != std::string::npos)
        topic.replace(at, 2, name.data());
    std::string payload = R"({"v":1,"vehicle":")" + std::string{name.data()} + R"(","signals":{)";
    for (int i = 0; payload.size() + 1 < options.payload_bytes; ++i) {
        payload += "\"s" + std::to_string(i) +
                   "\":" + std::to_string((connection * 37 + i * 101) % 9973) + ',';
    }
    payload.resize(options.payload_bytes, '}');

    Template made;
    std::size_t remaining = 2 + topic.size() + 2 + payload.size();
    made.bytes += '\x32';
    do {
        auto digit = static_cast<unsigned char>(remaining & 0x7FU);
        remaining >>= 7U;
        if (remaining > 0) digit |= 0x80U;
        made.bytes += static_cast<char>(digit);
    } while (remaining > 0);
    made.bytes += static_cast<char>(topic.size() >> 8U);
    made.bytes += static_cast<char>(topic.size() & 0xFFU);
    made.bytes += topic;
    made.id_at = made.bytes.size();
    made.bytes += std::string(2, '\0') + payload;
    return made;
}

struct Device {
    int socket = -1;
    Template publish;
    std::vector<Clock::time_point> sent;  // by packet id - 1, ring of `window`
    std::uint32_t next = 0;               // publishes so far
    std::uint32_t acked = 0;
    std::string unsent;
    std::string partial;
};

class Load {
public:
    explicit Load(const Options& options)
        : options_(options)
        , devices_(static_cast<std::size_t>(options.connections)) {}

    void connect() {
        epoll_ = ::epoll_create1(0);
        for (int i = 0; i < options_.connections; ++i)
            connect(i);
    }

    void run() {
        begin_ = Clock::now();
        const auto seconds = [](double s) {
            return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(s));
        };
        const auto measure_at = begin_ + seconds(options_.warmup_seconds);
        const auto end_at = measure_at + seconds(options_.seconds);
        next_due_ = begin_;
        if (options_.rate == 0) {
            for (Device& device : devices_)
                fill(device, begin_);
        }
        std::array<epoll_event, 256> events{};
        while (true) {
            const auto now = Clock::now();
            if (!measuring_ && now >= measure_at) start_measuring(now);
            if (now >= end_at) break;
            timespec wait{0, 100'000'000};
            if (options_.rate > 0) wait = send_due(now);
            const int count = ::epoll_pwait2(
                epoll_,
                events.data(),
                static_cast<int>(events.size()),
                &wait,
                nullptr
            );
            for (int i = 0; i < count; ++i)
                read(devices_[events[static_cast<std::size_t>(i)].data.u32]);
        }
        report(Clock::now());
    }

private:
    void connect(int index) {
        Device& device = devices_[static_cast<std::size_t>(index)];
        device.socket = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(options_.port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(device.socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
            fail("connect");
        const int yes = 1;
        ::setsockopt(device.socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        device.publish = make_publish(options_, index);
        device.sent.resize(static_cast<std::size_t>(options_.window));

        const std::string id = options_.prefix + std::to_string(index);
        std::string hello = std::string{"\x10"} + static_cast<char>(12 + id.size());
        hello += std::string{"\0\4MQTT\4\2\0\0\0", 11} + static_cast<char>(id.size()) + id;
        if (::send(device.socket, hello.data(), hello.size(), 0) !=
            static_cast<ssize_t>(hello.size()))
            fail("send");
        std::array<char, 4> connack{};
        if (::recv(device.socket, connack.data(), connack.size(), MSG_WAITALL) != 4 ||
            connack[3] != 0) {
            fail("no CONNACK");
        }
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u32 = static_cast<std::uint32_t>(index);
        ::epoll_ctl(epoll_, EPOLL_CTL_ADD, device.socket, &event);
    }

    // What is due at its device; one whose window is full loses its turn. Gives how long it is
    // until the next one.
    timespec send_due(Clock::time_point now) {
        const auto gap = std::chrono::duration_cast<Clock::duration>(
            std::chrono::duration<double>(1 / options_.rate)
        );
        for (; next_due_ <= now; next_due_ += gap) {
            fill(devices_[turn_++ % devices_.size()], next_due_, 1);
        }
        const auto wait = std::chrono::nanoseconds{next_due_ - now}.count();
        return {wait / 1'000'000'000, wait % 1'000'000'000};
    }

    // Sends as many publishes as the window allows, `most` at most, in one write.
    void fill(Device& device, Clock::time_point now, std::uint32_t most = 0xFFFFFFFF) {
        const auto window = static_cast<std::uint32_t>(options_.window);
        for (; device.next - device.acked < window && most > 0; --most) {
            const std::uint32_t slot = device.next++ % window;
            device.sent[slot] = now;
            const auto id = static_cast<std::uint16_t>(slot + 1);
            device.publish.bytes[device.publish.id_at] = static_cast<char>(id >> 8U);
            device.publish.bytes[device.publish.id_at + 1] = static_cast<char>(id & 0xFFU);
            device.unsent += device.publish.bytes;
        }
        if (device.unsent.empty()) return;
        // A window fits the socket's buffer: a blocking send does not wait for the server.
        if (::send(device.socket, device.unsent.data(), device.unsent.size(), MSG_NOSIGNAL) < 0)
            fail("send");
        device.unsent.clear();
    }

    void read(Device& device) {
        std::array<char, 65536> buffer;
        const ssize_t got = ::recv(device.socket, buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) fail("the server closed a connection");
        device.partial.append(buffer.data(), static_cast<std::size_t>(got));
        const auto now = Clock::now();
        std::size_t at = 0;
        for (; device.partial.size() - at >= 4; at += 4) {
            if (device.partial[at] != '\x40') fail("not a PUBACK");
            const auto window = static_cast<std::uint32_t>(options_.window);
            const auto id = static_cast<std::uint32_t>(
                (static_cast<unsigned char>(device.partial[at + 2]) << 8U) |
                static_cast<unsigned char>(device.partial[at + 3])
            );
            if (id != device.acked % window + 1) fail("PUBACK out of order");
            if (measuring_) count(now - device.sent[id - 1]);
            ++device.acked;
        }
        device.partial.erase(0, at);
        if (options_.rate == 0) fill(device, Clock::now());
    }

    void count(Clock::duration latency) {
        const auto micros = static_cast<std::size_t>(
            std::chrono::duration_cast<std::chrono::microseconds>(latency).count()
        );
        max_micros_ = std::max(max_micros_, micros);
        ++histogram_[std::min(micros, histogram_.size() - 1)];
        ++messages_;
    }

    void start_measuring(Clock::time_point now) {
        measuring_ = true;
        begin_ = now;
        if (options_.pid > 0) server_cpu_ = cpu_seconds(options_.pid);
        own_cpu_ = cpu_seconds(::getpid());
    }

    // Also outside what is measured.
    [[nodiscard]] std::uint64_t all_acked() const {
        std::uint64_t sum = 0;
        for (const Device& device : devices_)
            sum += device.acked;
        return sum;
    }

    [[nodiscard]] std::size_t percentile(double part) const {
        const auto rank = static_cast<std::uint64_t>(static_cast<double>(messages_) * part);
        std::uint64_t seen = 0;
        for (std::size_t micros = 0; micros < histogram_.size(); ++micros) {
            seen += histogram_[micros];
            if (seen > rank) return micros;
        }
        return histogram_.size();
    }

    void report(Clock::time_point now) const {
        const double seconds = std::chrono::duration<double>(now - begin_).count();
        const double millions = static_cast<double>(messages_) / 1e6;
        const double server = options_.pid > 0 ? cpu_seconds(options_.pid) - server_cpu_ : 0;
        const double own = cpu_seconds(::getpid()) - own_cpu_;
        std::printf(
            "{\"connections\":%d,\"window\":%d,\"messages\":%llu,\"rate\":%.0f,\"p50_us\":%zu,"
            "\"p99_us\":%zu,\"max_us\":%zu,\"all_acked\":%llu,\"server_cpu_s_per_million\":%.3f,"
            "\"generator_util\":%.2f}\n",
            options_.connections,
            options_.window,
            static_cast<unsigned long long>(messages_),
            static_cast<double>(messages_) / seconds,
            percentile(0.50),
            percentile(0.99),
            max_micros_,
            static_cast<unsigned long long>(all_acked()),
            millions > 0 ? server / millions : 0,
            own / seconds
        );
    }

    Options options_;
    std::vector<Device> devices_;
    int epoll_ = -1;
    bool measuring_ = false;
    Clock::time_point begin_;
    double server_cpu_ = 0;
    double own_cpu_ = 0;
    Clock::time_point next_due_;  // --rate: of the next publish,
    std::size_t turn_ = 0;        // and of which device
    std::uint64_t messages_ = 0;
    std::size_t max_micros_ = 0;
    std::vector<std::uint32_t> histogram_ = std::vector<std::uint32_t>(4'000'000);
};

Options parse(int argc, char** argv) {
    Options options;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string_view flag = argv[i];
        const std::string value = argv[i + 1];
        if (flag == "--port")
            options.port = std::stoi(value);
        else if (flag == "--connections")
            options.connections = std::stoi(value);
        else if (flag == "--window")
            options.window = std::stoi(value);
        else if (flag == "--seconds")
            options.seconds = std::stod(value);
        else if (flag == "--warmup")
            options.warmup_seconds = std::stod(value);
        else if (flag == "--payload")
            options.payload_bytes = std::stoul(value);
        else if (flag == "--pid")
            options.pid = std::stoi(value);
        else if (flag == "--rate")
            options.rate = std::stod(value);
        else if (flag == "--away")
            options.away = value == "1";
        else if (flag == "--prefix")
            options.prefix = value;
        else if (flag == "--topic")
            options.topic = value;
        else
            fail("unknown flag " + std::string{flag});
    }
    return options;
}

}  // namespace

int main(int argc, char** argv) {
    const Options options = parse(argc, argv);
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    if (options.away) {
        const sched_param lowest{.sched_priority = 1};
        ::sched_setscheduler(0, SCHED_FIFO, &lowest);
    }
    Load load{options};
    load.connect();
    load.run();
    return 0;
}
