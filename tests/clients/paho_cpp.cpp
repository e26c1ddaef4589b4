// Eclipse Paho C++ as README "Once, and not twice" sets it. Arguments: see README.md here.
#include <mqtt/async_client.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <semaphore>
#include <string>
#include <string_view>

#include <unistd.h>

namespace {

constexpr int window = 20;

struct Arguments {
    std::map<std::string, std::string, std::less<>> values;

    const std::string& operator[](std::string_view name) const { return values.find(name)->second; }

    int number(std::string_view name) const { return std::atoi((*this)[name].c_str()); }
};

Arguments parse(int count, char** texts) {
    Arguments arguments{{{"start", "1"}, {"count", "0"}, {"will", ""}, {"store", ""}}};
    for (int i = 2; i < count; ++i) {
        const std::string name = texts[i] + 2;  // behind the two dashes
        arguments.values[name] = name == "will" ? "yes" : texts[++i];
    }
    return arguments;
}

mqtt::connect_options options_of(const Arguments& arguments) {
    mqtt::connect_options options;
    options.set_keep_alive_interval(30);
    options.set_max_inflight(window);
    options.set_automatic_reconnect(1, 1);
    if (arguments["mqtt"] == "5") {
        options.set_mqtt_version(MQTTVERSION_5);
        options.set_clean_start(false);
        mqtt::properties properties;
        properties.add({mqtt::property::SESSION_EXPIRY_INTERVAL, 3600});
        options.set_properties(properties);
    } else {
        options.set_mqtt_version(MQTTVERSION_3_1_1);
        options.set_clean_session(false);
    }
    if (!arguments["will"].empty()) {
        const std::string& id = arguments["id"];
        options.set_will(
            mqtt::message{"clients/" + id, id + " will", arguments.number("qos"), false}
        );
    }
    return options;
}

// Says which numbers are acknowledged, and how many may be outstanding.
class Acks final : public mqtt::iaction_listener {
public:
    std::counting_semaphore<> room{window};

    void on_failure(const mqtt::token& token) override {
        std::fprintf(
            stderr,
            "failed: %ld, %d\n",
            reinterpret_cast<long>(token.get_user_context()),  // NOLINT
            token.get_return_code()
        );
        room.release();
    }

    void on_success(const mqtt::token& token) override {
        const std::lock_guard lock{mutex_};
        std::printf("acked %ld\n", reinterpret_cast<long>(token.get_user_context()));  // NOLINT
        std::fflush(stdout);
        room.release();
    }

private:
    std::mutex mutex_;
};

int publish(const Arguments& arguments) {
    const std::string& id = arguments["id"];
    const mqtt::create_options creation{
        arguments["mqtt"] == "5" ? MQTTVERSION_5 : MQTTVERSION_3_1_1,
        1000  // taken while it is not connected, and what an earlier run has left
    };
    const std::string folder = arguments["store"];
    Acks acks;  // the client may call it until it is gone
    mqtt::async_client client{
        "tcp://127.0.0.1:" + arguments["port"],
        id,
        creation,
        folder.empty() ? std::string{"."} : folder};
    client.connect(options_of(arguments))->wait();
    const int end = arguments.number("start") + arguments.number("count");
    for (long number = arguments.number("start"); number < end; ++number) {
        acks.room.acquire();
        const auto message = mqtt::make_message(
            "clients/" + id,
            id + ' ' + std::to_string(number),
            arguments.number("qos"),
            false
        );
        client.publish(message, reinterpret_cast<void*>(number), acks);  // NOLINT
    }
    for (int i = 0; i < window; ++i)
        acks.room.acquire();
    if (!arguments["will"].empty()) ::kill(::getpid(), SIGKILL);
    client.disconnect()->wait();
    return 0;
}

}  // namespace

int main(int count, char** texts) {
    if (count >= 2 && texts[1] == std::string_view{"version"}) {
        std::printf("%s\n", mqtt::VERSION_STR.c_str());
        return 0;
    }
    try {
        return publish(parse(count, texts));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
