// bare_producer HOST:PORT TOPIC PARTITIONS RECORDS CODEC VALUES [RATE | COUNT]: librdkafka alone,
// one idempotent producer with acks=all, with the values (one a line, again and again), a key and
// one header of the kind that forwarding adds; RATE a second, every 20 ms; or, every 20 ms, as many
// as bare_loop's file COUNT has more; or as fast as it goes.
// Prints one JSON line, and ends when its input does: until then its connections can be looked at.
// Following COUNT it also ends, with that line, once COUNT has not moved for two seconds.
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t polled_every = 256;
constexpr std::chrono::milliseconds paced_every{20};
constexpr std::chrono::seconds follows_for{2};

struct Counts {
    std::int64_t delivered = 0;
    std::int64_t failed = 0;
};

void on_report(rd_kafka_t* /*client*/, const rd_kafka_message_t* message, void* counts) {
    auto& all = *static_cast<Counts*>(counts);
    ++(message->err == RD_KAFKA_RESP_ERR_NO_ERROR ? all.delivered : all.failed);
}

double cpu_seconds() {
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(used.ru_utime) + seconds(used.ru_stime);
}

rd_kafka_t* make_producer(const std::string& servers, const std::string& codec, Counts& counts) {
    std::array<char, 512> text{};
    rd_kafka_conf_t* const conf = rd_kafka_conf_new();
    const std::vector<std::pair<const char*, std::string>> properties = {
        {"bootstrap.servers", servers},
        {"enable.idempotence", "true"},
        {"acks", "all"},
        {"compression.codec", codec},
        {"linger.ms", "5"},
        {"queue.buffering.max.messages", "100000"},
        {"log_level", "3"},
    };
    for (const auto& [name, value] : properties) {
        if (rd_kafka_conf_set(conf, name, value.c_str(), text.data(), text.size()) !=
            RD_KAFKA_CONF_OK) {
            throw std::runtime_error{text.data()};
        }
    }
    rd_kafka_conf_set_opaque(conf, &counts);
    rd_kafka_conf_set_dr_msg_cb(conf, on_report);
    rd_kafka_t* const client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text.data(), text.size());
    if (client == nullptr) throw std::runtime_error{text.data()};
    return client;
}

std::vector<std::string> read_lines(const char* file) {
    std::ifstream in{file};
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);)
        lines.push_back(line);
    if (lines.empty()) throw std::runtime_error{"no values"};
    return lines;
}

// How fast to send: `rate` a second, 0 for all at once; or what `count` says, if there is one.
struct Pace {
    std::int64_t rate = 0;
    const std::atomic<std::uint64_t>* count = nullptr;
};

Pace pace_of(const char* text) {
    if (text[0] != '/') return {.rate = std::atoll(text)};
    const int file = ::open(text, O_RDONLY);
    if (file < 0) throw std::runtime_error{"no such count"};
    void* const mapped =
        ::mmap(nullptr, sizeof(std::atomic<std::uint64_t>), PROT_READ, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED) throw std::runtime_error{"mmap"};
    return {.count = static_cast<const std::atomic<std::uint64_t>*>(mapped)};
}

void run(char** arguments, const Pace& pace) {
    const std::string topic = arguments[2];
    const auto partitions = std::atoi(arguments[3]);
    const std::int64_t records = std::atoll(arguments[4]);
    const auto values = read_lines(arguments[6]);
    Counts counts;
    rd_kafka_t* const client = make_producer(arguments[1], arguments[5], counts);
    rd_kafka_topic_t* const handle = rd_kafka_topic_new(client, topic.c_str(), nullptr);
    const auto produce = [&](std::int64_t n) {
        const auto& value = values[static_cast<std::size_t>(n) % values.size()];
        const auto key = "V" + std::to_string(n % 100);
        const auto partition = static_cast<std::int32_t>(n % partitions);
        const auto id = "bench/0123456789abcdef/" + topic + "-" + std::to_string(partition) + "/" +
                        std::to_string(n / partitions);
        rd_kafka_headers_t* const headers = rd_kafka_headers_new(1);
        rd_kafka_header_add(headers, "mp.id", -1, id.data(), static_cast<ssize_t>(id.size()));
        std::array<rd_kafka_vu_t, 6> parts{};
        parts[0].vtype = RD_KAFKA_VTYPE_RKT;
        parts[0].u.rkt = handle;
        parts[1].vtype = RD_KAFKA_VTYPE_PARTITION;
        parts[1].u.i32 = partition;
        parts[2].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
        parts[2].u.i = RD_KAFKA_MSG_F_COPY;
        parts[3].vtype = RD_KAFKA_VTYPE_KEY;
        parts[3].u.mem = {const_cast<char*>(key.data()), key.size()};
        parts[4].vtype = RD_KAFKA_VTYPE_VALUE;
        parts[4].u.mem = {const_cast<char*>(value.data()), value.size()};
        parts[5].vtype = RD_KAFKA_VTYPE_HEADERS;
        parts[5].u.headers = headers;
        rd_kafka_error_t* const error = rd_kafka_produceva(client, parts.data(), parts.size());
        const bool taken = error == nullptr;
        if (!taken) {  // its queue is full
            rd_kafka_headers_destroy(headers);
            rd_kafka_error_destroy(error);
        }
        if (!taken || n % polled_every == 0) rd_kafka_poll(client, taken ? 0 : 1);
        return taken;
    };
    while (!produce(0)) {
    }
    rd_kafka_flush(client, 30'000);  // connected, and the id of the producer is there
    counts = {};
    const double cpu_before = cpu_seconds();
    const auto begin = Clock::now();
    std::int64_t sent = 0;
    const auto send_until = [&](std::int64_t count) {
        while (sent < count)
            sent += produce(sent + 1) ? 1 : 0;
    };
    auto due = begin;
    const auto rest = [&] {
        due += paced_every;
        for (auto left = due - Clock::now(); left > left.zero(); left = due - Clock::now()) {
            const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
            rd_kafka_poll(client, static_cast<int>(ms));
        }
    };
    auto end = begin;
    if (pace.count != nullptr) {
        for (auto moved = begin; Clock::now() - moved < follows_for; rest()) {
            const auto count = std::min<std::int64_t>(
                static_cast<std::int64_t>(pace.count->load(std::memory_order_relaxed)),
                records
            );
            if (count == sent && sent != 0) continue;
            send_until(count);
            moved = end = Clock::now();
        }
    } else {
        const std::int64_t burst = pace.rate == 0 ? records
                                                  : std::max<std::int64_t>(pace.rate / 50, 1);
        while (sent < records) {
            send_until(std::min(sent + burst, records));
            if (pace.rate != 0) rest();
        }
    }
    rd_kafka_flush(client, 60'000);
    if (pace.count == nullptr) end = Clock::now();
    const std::chrono::duration<double> took = end - begin;
    std::printf(
        "{\"records\":%lld,\"failed\":%lld,\"seconds\":%.3f,\"cpu_s\":%.3f}\n",
        static_cast<long long>(counts.delivered),
        static_cast<long long>(counts.failed),
        took.count(),
        cpu_seconds() - cpu_before
    );
    std::fflush(stdout);
    while (std::cin.get() != std::char_traits<char>::eof()) {
    }
    rd_kafka_topic_destroy(handle);
    rd_kafka_destroy(client);
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 7 && count != 8) return 64;
    try {
        run(arguments, count == 8 ? pace_of(arguments[7]) : Pace{});
        return 0;
    } catch (const std::exception& failed) {
        std::fprintf(stderr, "bare_producer: %s\n", failed.what());
        return 1;
    }
}
