#include "gateway/tool/replay_flags.hpp"

#include "gateway/tool/common_flags.hpp"
#include "gateway/tool/publish_journal.hpp"

#include <CLI/CLI.hpp>

namespace milepost::tool {

namespace {

constexpr std::size_t credential_bytes_max = 65'535;  // MQTT 1.5.4

std::string check_credential(const std::string& text) {
    return text.size() <= credential_bytes_max ? "" : "longer than 65535 bytes";
}

}  // namespace

void ReplayFlags::add_to(CLI::App& app) {
    add_replay(app);
    add_export(app);
}

void ReplayFlags::add_selection(CLI::App& command) {
    add_source(command, raw_.source);
    auto* file = command.add_option(
        "--from-file",
        raw_.from_file,
        "Read NDJSON or an archive that export wrote instead of a log; - is stdin (NDJSON)"
    );
    file->type_name("FILE")->excludes("--url")->excludes("--data-dir");
    command
        .add_option(
            "--from",
            from_,
            "Read a Kafka topic (read_committed) instead of a log: kafka://HOST:PORT[,HOST:PORT…]\n"
            "and -t, or kafka://HOST:PORT/TOPIC"
        )
        ->type_name("KAFKA")
        ->excludes("--url")
        ->excludes("--data-dir")
        ->excludes(file);
    command.add_option("-X", properties_, "A librdkafka property for Kafka")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
    command.add_option("-t,--topic", topics_, "A topic; may be given again (default: all)")
        ->type_name("TOPIC")
        ->allow_extra_args(false);
    command.add_option("-p,--partition", partition_, "One partition only")
        ->type_name("N")
        ->check(CLI::Range(0, 0x7FFF'FFFF));
    command.add_option("-k,--key", raw_.selection.keys, "A vehicle (key); may be given again")
        ->type_name("KEY")
        ->allow_extra_args(false);
    command
        .add_option(
            "-o,--offsets",
            offset_range_,
            "From offset A and before B, in each partition; A.. and ..B are open"
        )
        ->type_name("A..B");
    command
        .add_option(
            "--since",
            raw_.since,
            "From this time on: RFC 3339, ms since 1970, now, or -2h (ms, s, min, h, d) before now"
        )
        ->type_name("TIME");
    command.add_option("--until", raw_.until, "Before this time; as --since")->type_name("TIME");
    command
        .add_option(
            "--gateway-id",
            raw_.gateway_id,
            "The gateway's part of mp.id (default: the running gateway's; of a folder mp- and\n"
            "8 digits of the log id, as where the configuration has no gateway_id)"
        )
        ->type_name("ID");
    command
        .add_option(
            "--resume",
            raw_.resume,
            "Keep how far it is in this file; the same command goes on there after a kill\n"
            "(default: for a file FILE.state, gone when it is done)"
        )
        ->type_name("FILE");
}

void ReplayFlags::add_export(CLI::App& app) {
    auto* command = app.add_subcommand("export", "Write records to a file, or to stdout");
    add_selection(*command);
    command
        ->add_option(
            "--format",
            file_format_,
            "ndjson or archive, which replay and export read back, or csv. An archive is a log's "
            "own\n"
            "batches, compressed; it needs a file"
        )
        ->check(CLI::IsMember({"ndjson", "csv", "archive"}))
        ->capture_default_str();
    command->add_option("-O,--output", raw_.to, "The file; - is stdout")
        ->type_name("FILE")
        ->capture_default_str();
}

void ReplayFlags::add_replay(CLI::App& app) {
    auto* command =
        app.add_subcommand("replay", "Send recorded records again, as fast as they came or faster");
    add_json(*command, raw_.json);
    add_selection(*command);
    command
        ->add_option(
            "--to",
            raw_.to,
            "A file (NDJSON), - for stdout, kafka://HOST:PORT[,HOST:PORT…], mqtt://HOST[:PORT] or\n"
            "mqtts://HOST[:PORT]"
        )
        ->type_name("WHERE")
        ->capture_default_str();
    add_mqtt(*command);
    command
        ->add_option(
            "--speed",
            speed_,
            "1x as recorded, 10x ten times as fast, max, or a fixed rate: 200/s"
        )
        ->type_name("SPEED")
        ->capture_default_str();
    command
        ->add_option(
            "--gap-max",
            gap_max_ms_,
            "Wait no longer than this between two records, however long it was recorded"
        )
        ->type_name("TIME")
        ->transform(CLI::AsNumberWithUnit(time_units, CLI::AsNumberWithUnit::CASE_SENSITIVE));
    command
        ->add_option(
            "--timestamps",
            timestamps_,
            "original, or shifted: all by as much as makes the first one now"
        )
        ->check(CLI::IsMember({"original", "shifted"}))
        ->capture_default_str();
    command->add_flag("--dry-run", raw_.dry_run, "Count, and say what would be sent");
}

void ReplayFlags::add_mqtt(CLI::App& command) {
    auto& mqtt = raw_.mqtt;
    command
        .add_option(
            "-q,--qos",
            qos_,
            "MQTT: 2, each record once, or 1, where a kill sends the window again at most"
        )
        ->check(CLI::Range(1, 2))
        ->capture_default_str();
    command
        .add_option(
            "-V,--protocol-version",
            version_,
            "mqttv5, or mqttv311, which has no place for headers"
        )
        ->check(CLI::IsMember({"mqttv311", "mqttv5"}))
        ->capture_default_str();
    command
        .add_option(
            "--mqtt-topic",
            mqtt_topics_,
            "Where a record does not say which MQTT topic it came by, this one, {key} being its\n"
            "key (default: vehicle.telemetry=vehicles/{key}/telemetry)"
        )
        ->type_name("TOPIC=MQTT_TOPIC")
        ->allow_extra_args(false);
    command
        .add_option(
            "--window",
            mqtt.window,
            "MQTT: records on their way at the same time (default: 256, or fewer if the broker "
            "says\n"
            "so; with mqttv311, where it cannot, 20)"
        )
        ->type_name("N")
        ->check(CLI::Range(std::size_t{1}, std::size_t{publishes_in_flight_max}));
    auto* user = command.add_option("-u,--username", mqtt.user, "MQTT: log in as this user");
    user->check(check_credential);
    auto* password = command.add_option("-P,--pw", mqtt.password, "The user's password");
    password->check(check_credential)->needs(user);
    command.add_option("--password-file", mqtt.password_file, "A file that holds it instead")
        ->type_name("FILE")
        ->needs(user)
        ->excludes(password);
    command.add_option("--cafile", mqtt.ca_file, "mqtts: whom to trust (default: the system's)")
        ->type_name("FILE");
    auto* certificate =
        command.add_option("--cert", mqtt.certificate_file, "mqtts: our certificate (PEM)");
    auto* key = command.add_option("--key-file", mqtt.key_file, "mqtts: its private key (PEM)");
    certificate->type_name("FILE")->needs(key);
    key->type_name("FILE")->needs(certificate);
}

MqttOptions ReplayFlags::mqtt_options() const {
    auto options = raw_.mqtt;
    options.qos = static_cast<mqtt::Qos>(qos_);
    options.level = version_ == "mqttv5" ? mqtt::ProtocolLevel::v5 : mqtt::ProtocolLevel::v3_1_1;
    for (const auto& text : mqtt_topics_) {
        const auto parsed = parse_topic_template(text);
        if (!parsed) {
            throw CLI::ValidationError("--mqtt-topic", text + " is no TOPIC=MQTT_TOPIC");
        }
        options.topics.insert_or_assign(parsed->first, parsed->second);
    }
    const bool has_tls = !options.ca_file.empty() || !options.certificate_file.empty();
    if (has_tls && !raw_.to.starts_with("mqtts://")) {
        throw CLI::ValidationError("--to", "certificates are for mqtts:// only");
    }
    return options;
}

void ReplayFlags::take_source(ReplayOptions& options) const {
    constexpr std::string_view scheme = "kafka://";
    if (from_.empty()) return;
    const auto refuse = [&](const std::string& why) {
        return CLI::ValidationError("--from", from_ + ": " + why);
    };
    if (!from_.starts_with(scheme)) throw refuse("want kafka://HOST:PORT");
    options.from_kafka = from_.substr(scheme.size());
    const auto slash = options.from_kafka.find('/');
    if (slash != std::string::npos) {
        const auto topic = options.from_kafka.substr(slash + 1);
        if (topic.empty() || topic.find('/') != std::string::npos) throw refuse("no topic");
        options.selection.topics.push_back(topic);
        options.from_kafka.resize(slash);
    }
    if (options.from_kafka.empty()) throw refuse("no broker");
    if (options.selection.topics.empty()) throw refuse("needs a topic (-t)");
}

ReplayOptions ReplayFlags::options(bool is_export) const {
    ReplayOptions options = raw_;
    options.is_export = is_export;
    options.selection.topics = topics_;
    take_source(options);
    if (partition_ >= 0) options.selection.partition = partition_;
    if (!offset_range_.empty()) {
        const auto range = parse_offset_range(offset_range_);
        if (!range) throw CLI::ValidationError("-o", offset_range_ + " is no A..B");
        options.selection.offsets = *range;
    }
    const auto now = wall_now();
    const auto time = [&](const char* flag, const std::string& text) -> std::optional<Timestamp> {
        if (text.empty()) return std::nullopt;
        const auto parsed = parse_time(text, now);
        if (!parsed) throw CLI::ValidationError(flag, text + " is no time");
        return parsed;
    };
    options.selection.since = time("--since", options.since);
    options.selection.until = time("--until", options.until);
    options.properties = to_properties(properties_);
    options.format = file_format_ == "csv" ? FileFormat::csv : FileFormat::ndjson;
    if (file_format_ == "archive") {
        options.format = FileFormat::archive;
        const bool is_of_log = options.from_file.empty() && options.from_kafka.empty();
        if (!is_of_log) throw CLI::ValidationError("--format", "an archive is made of a log");
        if (options.to == "-") throw CLI::ValidationError("--format", "an archive needs -O FILE");
    }
    if (is_export) return options;
    options.mqtt = mqtt_options();
    options.shifts_time = timestamps_ == "shifted";
    if (gap_max_ms_ > 0) options.gap_max = std::chrono::milliseconds{gap_max_ms_};
    const auto speed = parse_speed(speed_);
    if (!speed) throw CLI::ValidationError("--speed", speed_ + " is no speed");
    options.speed = *speed;
    return options;
}

}  // namespace milepost::tool
