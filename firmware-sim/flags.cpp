#include "firmware-sim/flags.hpp"

#include "firmware-sim/simulated_clock.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdio>

namespace milepost::fleet {

namespace {

constexpr std::size_t prefix_bytes_max = 48;
constexpr std::uint32_t vehicles_max = 10'000;
constexpr double rate_max = 1000;
constexpr double speed_min = 0.1;
constexpr double speed_max = 1000;

std::string check_duration(const std::string& text) {
    return parse_duration(text) ? "" : "'" + text + "' is not a duration such as 30s, 5m or 500ms";
}

std::string check_start(const std::string& text) {
    return parse_rfc3339(text) ? "" : "'" + text + "' is not a time such as 2026-11-24T12:00:00Z";
}

std::string check_prefix(const std::string& text) {
    return text.size() <= prefix_bytes_max && sensors::is_vehicle_id(text)
               ? ""
               : "'" + text + "' is not 1 to 48 of [A-Za-z0-9._-]";
}

// MQTT 1.5.4: a string of at most 65,535 bytes.
std::string check_credential(const std::string& text) {
    return text.size() <= 0xffff ? "" : "longer than 65535 bytes";
}

std::string check_topic(const std::string& text) {
    const bool is_fine = !text.empty() && text.size() <= 256 && text.front() != '$' &&
                         text.find_first_of("+#\n\t") == std::string::npos;
    return is_fine ? "" : "'" + text + "' is not a topic to publish to";
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(const std::string& text) {
    constexpr double year_ms = 366.0 * 24 * 3600 * 1000;
    double number = 0;
    const char* const end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc{} || !std::isfinite(number) || number < 0) return std::nullopt;
    const std::string unit{stopped, end};
    double milliseconds = 0;
    if (unit == "ms") {
        milliseconds = number;
    } else if (unit.empty() || unit == "s") {
        milliseconds = number * 1000;
    } else if (unit == "m") {
        milliseconds = number * 60'000;
    } else if (unit == "h") {
        milliseconds = number * 3'600'000;
    } else {
        return std::nullopt;
    }
    if (milliseconds > year_ms) return std::nullopt;
    return std::chrono::milliseconds{std::llround(milliseconds)};
}

std::variant<Options, Exit> parse_flags(int count, const char* const* arguments) {
    Options options;
    auto& [fleet, link, link_kind, ledger_path, is_json, is_quiet] = options;
    CLI::App app{
        "A fleet of simulated vehicles: each publishes its sensors' readings over MQTT and keeps "
        "every one until the gateway has acknowledged it.",
        "milepost-fleet"};
    std::string duration = "30s";
    std::string drain = "30s";
    std::string version = "mqttv311";
    std::string start;
    app.set_version_flag("--version", "milepost-fleet " MILEPOST_VERSION);
    std::string kind = "auto";
    app.set_help_flag("--help", "Print this help message and exit");
    app.add_option("-h,--host", link.host, "The gateway's host")->capture_default_str();
    app.add_option("-p,--port", link.port, "Its MQTT port")->capture_default_str();
    app.add_option("-u,--username", link.user, "Log in as this user; needs --pw")
        ->check(check_credential);
    app.add_option("-P,--pw", link.password, "The user's password")->check(check_credential);
    app.add_option(
           "--link",
           kind,
           "Whose MQTT the vehicles speak: paho (Eclipse Paho, a process each, up to 200 "
           "vehicles), "
           "direct (the fleet's own, all in one thread), or auto: paho as far as it goes"
    )
        ->check(CLI::IsMember({"auto", "paho", "direct"}))
        ->capture_default_str();
    app.add_option("--vehicles", fleet.vehicles, "How many vehicles")
        ->check(CLI::Range(1U, vehicles_max))
        ->capture_default_str();
    app.add_option("--rate", fleet.rate, "Readings per second of each vehicle")
        ->check(CLI::Range(0.001, rate_max))
        ->capture_default_str();
    app.add_option("--duration", duration, "How long to sample; 0: until SIGINT or SIGTERM")
        ->check(check_duration)
        ->capture_default_str();
    app.add_option("--drain", drain, "How long to wait for outstanding acknowledgements afterwards")
        ->check(check_duration)
        ->capture_default_str();
    app.add_option("--ledger", ledger_path, "Append what becomes of each reading to this file");
    app.add_option("--seed", fleet.seed, "The same seed and --start give the same payloads")
        ->capture_default_str();
    app.add_option("--start", start, "When it is for the vehicles, RFC 3339; else the time of now")
        ->check(check_start);
    app.add_option("--speed", fleet.speed, "Seconds of the vehicles in one second")
        ->check(CLI::Range(speed_min, speed_max))
        ->capture_default_str();
    app.add_option("-q,--qos", link.qos, "0, 1 or 2")
        ->check(CLI::Range(0, 2))
        ->capture_default_str();
    app.add_option("-V,--protocol-version", version, "mqttv311 or mqttv5")
        ->check(CLI::IsMember({"mqttv311", "mqttv5"}))
        ->capture_default_str();
    app.add_option("-i,--id-prefix", fleet.id_prefix, "What the vehicles' ids begin with")
        ->check(check_prefix)
        ->capture_default_str();
    app.add_option("--topic-prefix", link.topic_prefix, "Publish to <prefix>/<id>/telemetry")
        ->check(check_topic)
        ->capture_default_str();
    app.add_option("--buffer", fleet.buffer_readings, "Readings that a vehicle can keep")
        ->check(CLI::Range(1U, 10'000'000U))
        ->capture_default_str();
    app.add_option("--max-inflight", link.in_flight_max, "Unacknowledged publishes of a vehicle")
        ->check(CLI::Range(1U, 1000U))
        ->capture_default_str();
    app.add_flag("--json", is_json, "Print the summary as one JSON object");
    app.add_flag("--quiet", is_quiet, "No progress and no messages on stderr");
    try {
        app.parse(count, arguments);
    } catch (const CLI::ParseError& error) {
        return Exit{app.exit(error) == 0 ? 0 : exit_usage};
    }
    if (kind == "paho" && fleet.vehicles > paho_vehicles_max) {
        fmt::print(
            stderr,
            "milepost-fleet: --link paho is for up to {} vehicles: it needs a process "
            "for each; take --link direct\n",
            paho_vehicles_max
        );
        return Exit{exit_usage};
    }
    const bool is_direct = kind == "direct" || fleet.vehicles > paho_vehicles_max;
    link_kind = is_direct ? LinkKind::direct : LinkKind::paho;
    fleet.duration = *parse_duration(duration);
    fleet.drain = *parse_duration(drain);
    fleet.start = parse_rfc3339(start);
    fleet.has_acks = link.qos > 0;
    link.version = version == "mqttv5" ? MqttVersion::v5 : MqttVersion::v311;
    return options;
}

}  // namespace milepost::fleet
