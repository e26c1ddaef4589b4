// bare_publisher PORT RECORDS WINDOW VALUES: Eclipse Paho alone, MQTT 5.0, QoS 1, one connection,
// with the values (one a line, again and again), topics and one user property of the kind that
// `milepost replay` sends. Prints one JSON line: what was acknowledged, and in what time.
#include <mqtt/async_client.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

class Acks final : public mqtt::iaction_listener {
public:
    explicit Acks(int window)
        : room(window) {}

    void on_failure(const mqtt::token& /*token*/) override {
        ++failed;
        room.release();
    }

    void on_success(const mqtt::token& /*token*/) override { room.release(); }

    std::counting_semaphore<> room;
    long failed = 0;  // Paho's one thread, and read when it has nothing to say any more
};

std::vector<std::string> read_lines(const char* file) {
    std::ifstream in{file};
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);)
        lines.push_back(line);
    if (lines.empty()) throw std::runtime_error{"no values"};
    return lines;
}

mqtt::connect_options options_of(int window) {
    mqtt::connect_options options;
    options.set_mqtt_version(MQTTVERSION_5);
    options.set_clean_start(true);
    options.set_max_inflight(window);
    return options;
}

int run(char** arguments) {
    const long records = std::stol(arguments[2]);
    const int window = std::stoi(arguments[3]);
    const auto values = read_lines(arguments[4]);
    Acks acks{window};
    mqtt::async_client client{
        std::string{"tcp://127.0.0.1:"} + arguments[1],
        "bare",
        mqtt::create_options{MQTTVERSION_5, window},
        nullptr};
    client.connect(options_of(window))->wait();
    const auto begin = Clock::now();
    for (long n = 0; n < records; ++n) {
        const std::string vehicle = "V" + std::to_string(n % 100);
        const auto message = mqtt::make_message(
            "vehicles/" + vehicle + "/telemetry",
            values[static_cast<std::size_t>(n) % values.size()],
            1,
            false
        );
        mqtt::properties properties;
        properties.add(
            {mqtt::property::USER_PROPERTY,
             "mp.id",
             "bench/0123456789abcdef/vehicle.telemetry-0/" + std::to_string(n)}
        );
        message->set_properties(properties);
        acks.room.acquire();
        client.publish(message, nullptr, acks);
    }
    for (int i = 0; i < window; ++i)
        acks.room.acquire();
    const std::chrono::duration<double> took = Clock::now() - begin;
    std::printf("{\"records\":%ld,\"seconds\":%.3f}\n", records - acks.failed, took.count());
    client.disconnect()->wait();
    return acks.failed == 0 ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 5) {
        std::fputs("usage: bare_publisher PORT RECORDS WINDOW VALUES\n", stderr);
        return 64;
    }
    try {
        return run(arguments);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bare_publisher: %s\n", error.what());
        return 1;
    }
}
