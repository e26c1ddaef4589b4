#include "firmware-sim/flags.hpp"

#include "firmware-sim/duration_text.hpp"
#include "firmware-sim/firmware.hpp"
#include "firmware-sim/input_file.hpp"
#include "firmware-sim/scenario.hpp"
#include "firmware-sim/simulated_clock.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

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

std::string check_firmware(const std::string& text) {
    return find_firmware(text) != nullptr ? "" : "there is no release '" + text + "'";
}

std::string check_topic(const std::string& text) {
    const bool is_fine = !text.empty() && text.size() <= 256 && text.front() != '$' &&
                         text.find_first_of("+#\n\t") == std::string::npos;
    return is_fine ? "" : "'" + text + "' is not a topic to publish to";
}

// What needs a look at more than itself, or at a file.
struct Texts {
    std::string duration = "30s";
    std::string drain = "30s";
    std::string version = "mqttv311";
    std::string start;
    std::string link = "auto";
    std::string cycle = "free";
    std::string scenario;
    std::string route;
    std::string drive = "mixed";
    std::vector<std::string> firmware;
    std::optional<std::uint16_t> port;
};

constexpr std::uint16_t plain_port = 1883;
constexpr std::uint16_t tls_port = 8883;

void add_tls_flags(CLI::App& app, TlsSettings& tls) {
    app.add_option("--cafile", tls.ca_file, "TLS: a file of the certificates to trust (PEM)");
    app.add_option("--capath", tls.ca_path, "TLS: a folder of them, as openssl rehash makes it");
    app.add_option(
        "--cert",
        tls.certificate,
        "The vehicles' own certificate, with its chain (PEM)"
    );
    app.add_option("--key", tls.key, "Its key, not encrypted (PEM)");
    app.add_flag(
        "--insecure",
        tls.is_insecure,
        "TLS: the gateway's certificate may be of another host; it must be trusted all the same"
    );
}

// As with mosquitto_pub: whom to trust makes it TLS, and so does port 8883, with the system's
// certificates. What is wrong; empty if nothing.
std::string take_tls(const Texts& texts, LinkSettings& link) {
    TlsSettings& tls = link.tls;
    tls.is_wanted = !tls.uses_system_trust() || texts.port == tls_port;
    link.port = texts.port.value_or(tls.is_wanted ? tls_port : plain_port);
    if (tls.certificate.empty() != tls.key.empty()) return "--cert and --key go together";
    if (!tls.is_wanted && (!tls.certificate.empty() || tls.is_insecure)) {
        return "--cert, --key and --insecure need --cafile, --capath or port 8883";
    }
    if (!tls.is_wanted) return {};
    if (texts.link == "paho") return "--link paho has no TLS: take --link direct";
    return {};
}

void add_connection_flags(CLI::App& app, Options& options, Texts& texts) {
    LinkSettings& link = options.link;
    app.add_option("-h,--host", link.host, "The gateway's host")->capture_default_str();
    app.add_option("-p,--port", texts.port, "Its MQTT port; else 1883, with TLS 8883")
        ->check(CLI::Range(1, 0xffff));
    app.add_option("-u,--username", link.user, "Log in as this user; needs --pw")
        ->check(check_credential);
    app.add_option("-P,--pw", link.password, "The user's password")->check(check_credential);
    app.add_option(
           "--link",
           texts.link,
           "Whose MQTT the vehicles speak: paho (Eclipse Paho, a process each, up to 200 "
           "vehicles), "
           "direct (the fleet's own, all in one thread), or auto: paho as far as it goes, "
           "without TLS"
    )
        ->check(CLI::IsMember({"auto", "paho", "direct"}))
        ->capture_default_str();
    add_tls_flags(app, link.tls);
    app.add_option("-q,--qos", link.qos, "0, 1 or 2")
        ->check(CLI::Range(0, 2))
        ->capture_default_str();
    app.add_option("-V,--protocol-version", texts.version, "mqttv311 or mqttv5")
        ->check(CLI::IsMember({"mqttv311", "mqttv5"}))
        ->capture_default_str();
    app.add_option("-i,--id-prefix", options.fleet.id_prefix, "What the vehicles' ids begin with")
        ->check(check_prefix)
        ->capture_default_str();
    app.add_option("--topic-prefix", link.topic_prefix, "Publish to <prefix>/<id>/telemetry")
        ->check(check_topic)
        ->capture_default_str();
    app.add_option("--max-inflight", link.in_flight_max, "Unacknowledged publishes of a vehicle")
        ->check(CLI::Range(1U, 1000U))
        ->capture_default_str();
}

void add_run_flags(CLI::App& app, Options& options, Texts& texts) {
    FleetSettings& fleet = options.fleet;
    app.add_option("--vehicles", fleet.vehicles, "How many vehicles")
        ->check(CLI::Range(1U, vehicles_max))
        ->capture_default_str();
    app.add_option("--rate", fleet.rate, "Readings per second of each vehicle")
        ->check(CLI::Range(0.001, rate_max))
        ->capture_default_str();
    app.add_flag(
        "--own-rates",
        fleet.has_own_rates,
        "Instead of --rate each sensor at its own: accelerations 10 times a second, motion and "
        "place once, tyres every ten seconds, trouble codes and ignition when they change"
    );
    app.add_option("--duration", texts.duration, "How long to sample; 0: until SIGINT or SIGTERM")
        ->check(check_duration)
        ->capture_default_str();
    app.add_option(
           "--drain",
           texts.drain,
           "How long to wait for outstanding acknowledgements afterwards"
    )
        ->check(check_duration)
        ->capture_default_str();
    app.add_option(
        "--ledger",
        options.ledger_path,
        "Append what becomes of each reading to this file"
    );
    app.add_option("--seed", fleet.seed, "The same seed and --start give the same payloads")
        ->capture_default_str();
    app.add_option(
           "--start",
           texts.start,
           "When it is for the vehicles, RFC 3339; else the time of now"
    )
        ->check(check_start);
    app.add_option("--speed", fleet.speed, "Seconds of the vehicles in one second")
        ->check(CLI::Range(speed_min, speed_max))
        ->capture_default_str();
    app.add_option("--buffer", fleet.buffer_readings, "Readings that a vehicle can keep")
        ->check(CLI::Range(1U, 10'000'000U))
        ->capture_default_str();
    app.add_flag("--json", options.is_json, "Print the summary as one JSON object");
    app.add_flag("--quiet", options.is_quiet, "No progress and no messages on stderr");
}

void add_drive_flags(CLI::App& app, Options& options, Texts& texts) {
    app.add_option(
           "--drive-cycle",
           texts.cycle,
           "What is driven: free (each driver his own way), wltp (UN GTR 15, class 3b), nedc, "
           "ftp-75, or a file of lines seconds,km/h[,ignition 0 or 1]"
    )
        ->capture_default_str();
    app.add_flag(
        "--stagger",
        options.fleet.drive.is_staggered,
        "Each vehicle begins somewhere in the cycle, instead of all at its start"
    );
    app.add_option(
        "--route",
        texts.route,
        "Where: a GeoJSON file with one LineString, or lines latitude,longitude[,altitude]; else "
        "a loop of 40 km"
    );
    app.add_option("--drive", texts.drive, "petrol, diesel, battery or mixed")
        ->check(CLI::IsMember({"petrol", "diesel", "battery", "mixed"}))
        ->capture_default_str();
    app.add_option(
           "--firmware",
           texts.firmware,
           "The vehicles' releases in turn, with commas: 1.4.0 (payload version 1, the default), "
           "2.0.0 (version 2)"
    )
        ->delimiter(',')
        ->check(check_firmware);
    app.add_option(
           "--flash",
           options.fleet.flash_readings,
           "Readings that a vehicle keeps over a reboot"
    )
        ->check(CLI::Range(0U, 10'000'000U))
        ->capture_default_str();
    app.add_option(
        "--scenario",
        texts.scenario,
        "A TOML file of what happens to the vehicles and when: see "
        "/usr/share/milepost-fleet/scenarios"
    );
}

// What the scenario wants and the command line does not say.
void take_scenario(
    const ScenarioFleet& wanted,
    const CLI::App& app,
    Options& options,
    Texts& texts
) {
    FleetSettings& fleet = options.fleet;
    const auto take = [&app](const char* flag, const auto& from, auto& to) {
        using To = std::remove_reference_t<decltype(to)>;
        if (from && app.count(flag) == 0) to = static_cast<To>(*from);
    };
    take("--vehicles", wanted.vehicles, fleet.vehicles);
    take("--rate", wanted.rate, fleet.rate);
    if (app.count("--rate") == 0) take("--own-rates", wanted.has_own_rates, fleet.has_own_rates);
    take("--buffer", wanted.buffer, fleet.buffer_readings);
    take("--flash", wanted.flash, fleet.flash_readings);
    take("--drive-cycle", wanted.drive_cycle, texts.cycle);
    if (wanted.duration && app.count("--duration") == 0) {
        texts.duration = fmt::format("{}ms", wanted.duration->count());
    }
    fleet.has_rtc = wanted.has_rtc.value_or(true);
    if (app.count("--firmware") == 0) fleet.firmware = wanted.firmware;
}

// The scenario's file. What is wrong with it; empty if nothing.
std::string read_scenario(const CLI::App& app, Options& options, Texts& texts) {
    if (texts.scenario.empty()) return {};
    const auto text = read_input(texts.scenario);
    if (const auto* const error = std::get_if<InputError>(&text)) return error->what;
    auto parsed = Scenario::parse(std::get<std::string>(text), texts.scenario);
    if (const auto* const error = std::get_if<InputError>(&parsed)) return error->what;
    options.fleet.scenario = std::make_shared<const Scenario>(std::get<Scenario>(std::move(parsed))
    );
    take_scenario(options.fleet.scenario->fleet(), app, options, texts);
    return {};
}

// The files that the flags name. What is wrong with one; empty if nothing.
std::string read_files(const Texts& texts, FleetSettings& fleet) {
    if (texts.cycle != "free") {
        auto trace = SpeedTrace::named(texts.cycle);
        if (!trace) {
            const auto text = read_input(texts.cycle);
            if (const auto* const error = std::get_if<InputError>(&text)) return error->what;
            auto parsed = SpeedTrace::parse_csv(std::get<std::string>(text), texts.cycle);
            if (const auto* const error = std::get_if<InputError>(&parsed)) return error->what;
            trace = std::get<SpeedTrace>(std::move(parsed));
        }
        fleet.trace = std::make_shared<const SpeedTrace>(std::move(*trace));
    }
    if (!texts.route.empty()) {
        const auto text = read_input(texts.route);
        if (const auto* const error = std::get_if<InputError>(&text)) return error->what;
        auto parsed = Route::parse(std::get<std::string>(text), texts.route);
        if (const auto* const error = std::get_if<InputError>(&parsed)) return error->what;
        fleet.route = std::make_shared<const Route>(std::get<Route>(std::move(parsed)));
    }
    return {};
}

void take_texts(const Texts& texts, Options& options) {
    FleetSettings& fleet = options.fleet;
    fleet.duration = *parse_duration(texts.duration);
    fleet.drain = *parse_duration(texts.drain);
    fleet.start = parse_rfc3339(texts.start);
    fleet.has_acks = options.link.qos > 0;
    const LinkSettings& link = options.link;
    const bool is_v6 = link.host.find(':') != std::string::npos;
    fleet.gateway = is_v6 ? fmt::format("[{}]:{}", link.host, link.port)
                          : fmt::format("{}:{}", link.host, link.port);
    if (texts.drive != "mixed") {
        fleet.drive.drive = texts.drive == "petrol"   ? Drive::petrol
                            : texts.drive == "diesel" ? Drive::diesel
                                                      : Drive::battery;
    }
    for (const std::string& release : texts.firmware)
        fleet.firmware.push_back(find_firmware(release));
    if (fleet.has_own_rates) {
        fleet.rate = std::chrono::seconds{1} / std::chrono::duration<double>{Vehicle::sample_every};
    }
    options.link.version = texts.version == "mqttv5" ? MqttVersion::v5 : MqttVersion::v311;
}

}  // namespace

std::variant<Options, Exit> parse_flags(int count, const char* const* arguments) {
    Options options;
    Texts texts;
    CLI::App app{
        "A fleet of simulated vehicles: each publishes its sensors' readings over MQTT and keeps "
        "every one until the gateway has acknowledged it.",
        "milepost-fleet"};
    app.set_version_flag("--version", "milepost-fleet " MILEPOST_VERSION);
    app.set_help_flag("--help", "Print this help message and exit");
    add_connection_flags(app, options, texts);
    add_run_flags(app, options, texts);
    add_drive_flags(app, options, texts);
    try {
        app.parse(count, arguments);
    } catch (const CLI::ParseError& error) {
        return Exit{app.exit(error) == 0 ? 0 : exit_usage};
    }
    const auto refuse = [](const std::string& why) {
        fmt::print(stderr, "milepost-fleet: {}\n", why);
        return Exit{exit_usage};
    };
    if (const std::string wrong = read_scenario(app, options, texts); !wrong.empty()) {
        return refuse(wrong);
    }
    if (texts.link == "paho" && options.fleet.vehicles > paho_vehicles_max) {
        return refuse(fmt::format(
            "--link paho is for up to {} vehicles: it needs a process for each; take --link direct",
            paho_vehicles_max
        ));
    }
    if (const std::string wrong = read_files(texts, options.fleet); !wrong.empty()) {
        return refuse(wrong);
    }
    if (const std::string wrong = take_tls(texts, options.link); !wrong.empty()) {
        return refuse(wrong);
    }
    if (options.link.tls.is_wanted) {
        auto context = TlsContext::make(options.link.tls);
        if (const auto* const error = std::get_if<InputError>(&context)) return refuse(error->what);
        options.tls = std::get<std::shared_ptr<const TlsContext>>(std::move(context));
    }
    // A scenario cuts connections and expects what was in flight to be sent again.
    const bool is_direct = texts.link == "direct" || options.tls ||
                           (texts.link == "auto" && options.fleet.scenario) ||
                           options.fleet.vehicles > paho_vehicles_max;
    options.link_kind = is_direct ? LinkKind::direct : LinkKind::paho;
    take_texts(texts, options);
    return options;
}

}  // namespace milepost::fleet
