#include "gateway/tool/flags.hpp"

#include "gateway/tool/failure.hpp"

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include <cstdio>
#include <iostream>
#include <map>

#ifndef MILEPOST_VERSION
#define MILEPOST_VERSION "unknown"
#endif

namespace milepost::tool {

namespace {

// What CLI11 fills; turned into options afterwards.
struct Raw {
    SourceOptions source;
    bool json = false;
    bool account = false;
    bool deep = false;
    bool yes = false;
    bool from_start = false;
    PasswdOptions passwd;
    bool from_beginning = false;
    bool exits_at_end = false;
    std::vector<std::string> topics;
    std::vector<std::string> offsets;
    std::int32_t partition = -1;
    std::uint64_t messages_max = 0;
    std::string format{record_format_default};
    std::string folder;
    std::vector<std::string> ledgers;
    std::string brokers;
    std::vector<std::string> properties;
    std::uint64_t wait_ms = 60'000;
    ReplayOptions replay;
    std::string offset_range;
    std::string file_format = "ndjson";
    std::string speed = "1x";
    std::string timestamps = "original";
    std::uint64_t gap_max_ms = 0;
};

const std::map<std::string, std::uint64_t> time_units{{"ms", 1}, {"s", 1'000}, {"min", 60'000}};

void add_common(CLI::App& command, Raw& raw) {
    command.add_flag("--json", raw.json, "Print JSON");
}

void add_source(CLI::App& command, Raw& raw) {
    auto* url = command.add_option("--url", raw.source.url, "The running gateway's HTTP address");
    url->capture_default_str()->type_name("URL");
    command
        .add_option(
            "--data-dir",
            raw.source.data_dir,
            "Read the folder of a stopped gateway instead; nothing is written"
        )
        ->type_name("DIR")
        ->excludes(url);
}

void add_consume(CLI::App& app, Raw& raw) {
    auto* consume = app.add_subcommand("consume", "Print the records of the log");
    add_common(*consume, raw);
    add_source(*consume, raw);
    consume->add_option("-t,--topic", raw.topics, "A topic; may be given again (default: all)")
        ->type_name("TOPIC")
        ->allow_extra_args(false);
    consume->add_option("-p,--partition", raw.partition, "One partition only")
        ->type_name("N")
        ->check(CLI::Range(0, 0x7FFF'FFFF));
    consume
        ->add_option(
            "-o,--offset",
            raw.offsets,
            "Where to begin: beginning, end, N, -N (the last N of each partition), s@MS (a time);\n"
            "e@MS says where to stop and may be given beside one of these (default: end)"
        )
        ->type_name("OFFSET")
        ->allow_extra_args(false);
    consume->add_flag("--from-beginning", raw.from_beginning, "The same as -o beginning");
    consume->add_option("-c,--max-messages", raw.messages_max, "Exit after N records")
        ->type_name("N")
        ->check([](const std::string& text) {
            const bool is_number = text.find_first_not_of("0123456789") == std::string::npos;
            const bool is_zero = text.find_first_not_of('0') == std::string::npos;
            return is_number && !is_zero ? "" : text + " is no number of records";
        });
    consume->add_flag("-e,--exit", raw.exits_at_end, "Exit at the end of the log");
    consume
        ->add_option(
            "-f,--format",
            raw.format,
            "%t topic, %p partition, %o offset, %k key, %K its length, %s value, %S its length,\n"
            "%T timestamp in ms, %h headers; \\n and \\t"
        )
        ->type_name("FMT")
        ->capture_default_str();
}

void add_verify_and_repair(CLI::App& app, Raw& raw) {
    auto* verify = app.add_subcommand(
        "verify",
        "Check every frame and batch of a stopped gateway's folder, or of sealed segments.\n"
        "Exit 0: sound, or with no hole but those that the gap ledger has (\"all known\");\n"
        "1: rot, a wrong index, an unknown hole; 2: nothing there, or in use"
    );
    add_common(*verify, raw);
    verify->add_option("DIR", raw.folder, "The data folder")->required();
    verify->add_flag("--deep", raw.deep, "Also decompress and walk the records");
    auto* repair = app.add_subcommand(
        "repair",
        "Say what would put a stopped gateway's folder right again; with --yes, do it.\n"
        "What is replaced is kept beside as <name>.damaged-<N>. Exit 0: nothing to do, or done;\n"
        "1: something could not be repaired; 2: nothing there, or in use"
    );
    add_common(*repair, raw);
    repair->add_option("DIR", raw.folder, "The data folder")->required();
    repair->add_flag("--yes", raw.yes, "Do it");
}

void add_adopt(CLI::App& app, Raw& raw) {
    auto* adopt = app.add_subcommand(
        "adopt",
        "Make a stopped gateway's folder this machine's: a new log id, and all readings kept.\n"
        "A gateway forwards nothing from a folder that was made on another machine before that.\n"
        "Exit 0: done; 1: it failed, nothing is changed; 2: nothing there, or in use"
    );
    add_common(*adopt, raw);
    adopt->add_option("DIR", raw.folder, "The data folder")->required();
    adopt->add_flag(
        "--from-start",
        raw.from_start,
        "Forward everything again that is still in the log, not only what was not confirmed"
    );
}

void add_passwd(CLI::App& app, Raw& raw) {
    auto* passwd = app.add_subcommand(
        "passwd",
        "Set a user's password in a password_file, which is made if it is not there.\n"
        "The password is asked for twice on a terminal, else it is one line on stdin. A running\n"
        "gateway reads the file again on SIGHUP (systemctl reload milepostd)."
    );
    passwd->add_option("FILE", raw.passwd.file, "The password file")->required();
    passwd->add_option("USER", raw.passwd.user, "The user's name")->required();
    auto* removes = passwd->add_flag("--delete", raw.passwd.removes, "Remove the user instead");
    passwd
        ->add_flag(
            "--disable",
            raw.passwd.disables,
            "Never let the user in, whatever vouches for it, a certificate too"
        )
        ->excludes(removes);
    passwd
        ->add_option(
            "--cost",
            raw.passwd.log2_n,
            "How dear one guess is (scrypt, log2 of N): 14 takes 16 MiB and some 50 ms; a long\n"
            "random password of a device needs no more than 10"
        )
        ->type_name("N")
        ->capture_default_str()
        ->check(CLI::Range(10, 16));
}

void add_reconcile(CLI::App& app, Raw& raw) {
    auto* reconcile = app.add_subcommand(
        "reconcile",
        "Compare the fleet's ledgers with the log and the upstream"
    );
    add_common(*reconcile, raw);
    add_source(*reconcile, raw);
    reconcile->add_option("--ledger", raw.ledgers, "A ledger; several are merged")
        ->type_name("FILE")
        ->required();
    reconcile
        ->add_option(
            "-b,--bootstrap-server",
            raw.brokers,
            "Upstream brokers (default: the gateway's)"
        )
        ->type_name("HOST:PORT");
    reconcile->add_option("-X", raw.properties, "A librdkafka property for reading the upstream")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
    reconcile
        ->add_option("--wait", raw.wait_ms, "How long to wait until everything is forwarded (60s)")
        ->type_name("TIME")
        ->transform(CLI::AsNumberWithUnit(time_units, CLI::AsNumberWithUnit::CASE_SENSITIVE));
}

void add_selection(CLI::App& command, Raw& raw) {
    add_source(command, raw);
    command
        .add_option(
            "--from-file",
            raw.replay.from_file,
            "Read NDJSON that export wrote instead of a log; - is stdin"
        )
        ->type_name("FILE")
        ->excludes("--url")
        ->excludes("--data-dir");
    command.add_option("-t,--topic", raw.topics, "A topic; may be given again (default: all)")
        ->type_name("TOPIC")
        ->allow_extra_args(false);
    command.add_option("-p,--partition", raw.partition, "One partition only")
        ->type_name("N")
        ->check(CLI::Range(0, 0x7FFF'FFFF));
    command
        .add_option("-k,--key", raw.replay.selection.keys, "A vehicle (key); may be given again")
        ->type_name("KEY")
        ->allow_extra_args(false);
    command
        .add_option(
            "-o,--offsets",
            raw.offset_range,
            "From offset A and before B, in each partition; A.. and ..B are open"
        )
        ->type_name("A..B");
    command
        .add_option(
            "--since",
            raw.replay.since,
            "From this time on: RFC 3339, ms since 1970, now, or -2h (ms, s, min, h, d) before now"
        )
        ->type_name("TIME");
    command.add_option("--until", raw.replay.until, "Before this time; as --since")
        ->type_name("TIME");
    command
        .add_option(
            "--gateway-id",
            raw.replay.gateway_id,
            "The gateway's part of mp.id (default: the running gateway's; of a folder mp- and\n"
            "8 digits of the log id, as where the configuration has no gateway_id)"
        )
        ->type_name("ID");
    command
        .add_option(
            "--resume",
            raw.replay.resume,
            "Keep how far it is in this file; the same command goes on there after a kill\n"
            "(default: for a file FILE.state, gone when it is done)"
        )
        ->type_name("FILE");
}

void add_export(CLI::App& app, Raw& raw) {
    auto* command = app.add_subcommand("export", "Write records to a file, or to stdout");
    add_selection(*command, raw);
    command->add_option("--format", raw.file_format, "ndjson, which replay reads back, or csv")
        ->check(CLI::IsMember({"ndjson", "csv"}))
        ->capture_default_str();
    command->add_option("-O,--output", raw.replay.to, "The file; - is stdout")
        ->type_name("FILE")
        ->capture_default_str();
}

void add_replay(CLI::App& app, Raw& raw) {
    auto* command =
        app.add_subcommand("replay", "Send recorded records again, as fast as they came or faster");
    add_common(*command, raw);
    add_selection(*command, raw);
    command
        ->add_option(
            "--to",
            raw.replay.to,
            "A file (NDJSON), - for stdout, or kafka://HOST:PORT[,HOST:PORT…]"
        )
        ->type_name("WHERE")
        ->capture_default_str();
    command->add_option("-X", raw.properties, "A librdkafka property for Kafka")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
    command
        ->add_option(
            "--speed",
            raw.speed,
            "1x as recorded, 10x ten times as fast, max, or a fixed rate: 200/s"
        )
        ->type_name("SPEED")
        ->capture_default_str();
    command
        ->add_option(
            "--gap-max",
            raw.gap_max_ms,
            "Wait no longer than this between two records, however long it was recorded"
        )
        ->type_name("TIME")
        ->transform(CLI::AsNumberWithUnit(time_units, CLI::AsNumberWithUnit::CASE_SENSITIVE));
    command
        ->add_option(
            "--timestamps",
            raw.timestamps,
            "original, or shifted: all by as much as makes the first one now"
        )
        ->check(CLI::IsMember({"original", "shifted"}))
        ->capture_default_str();
    command->add_flag("--dry-run", raw.replay.dry_run, "Count, and say what would be sent");
}

ConsumeOptions to_consume(const Raw& raw) {
    ConsumeOptions options;
    options.source = raw.source;
    options.topics = raw.topics;
    if (raw.partition >= 0) options.partition = raw.partition;
    if (raw.messages_max > 0) options.messages_max = raw.messages_max;
    options.exits_at_end = raw.exits_at_end;
    options.json = raw.json;
    bool has_begin = raw.from_beginning;
    if (has_begin) options.from = Beginning{};
    for (const auto& text : raw.offsets) {
        const auto choice = parse_offset(text);
        if (!choice) throw CLI::ValidationError("-o", text + " is no offset");
        if (const auto* until = std::get_if<UntilTime>(&*choice)) {
            options.until = until->time;
            continue;
        }
        if (has_begin) throw CLI::ValidationError("-o", "says twice where to begin");
        has_begin = true;
        options.from = *choice;
    }
    const auto format = RecordFormat::parse(raw.format);
    if (!format) throw CLI::ValidationError("-f", raw.format + " has an unknown % or \\ sequence");
    options.format = *format;
    return options;
}

std::vector<std::pair<std::string, std::string>> to_properties(const Raw& raw) {
    std::vector<std::pair<std::string, std::string>> properties;
    for (const auto& property : raw.properties) {
        const auto equals = property.find('=');
        if (equals == std::string::npos || equals == 0) {
            throw CLI::ValidationError("-X", property + " is no NAME=VALUE");
        }
        properties.emplace_back(property.substr(0, equals), property.substr(equals + 1));
    }
    return properties;
}

ReconcileOptions to_reconcile(const Raw& raw) {
    ReconcileOptions options;
    options.source = raw.source;
    options.ledgers = raw.ledgers;
    options.brokers = raw.brokers;
    options.wait = std::chrono::milliseconds{raw.wait_ms};
    options.json = raw.json;
    options.properties = to_properties(raw);
    return options;
}

ReplayOptions to_replay(const Raw& raw, bool is_export) {
    ReplayOptions options = raw.replay;
    options.is_export = is_export;
    options.source = raw.source;
    options.json = raw.json;
    options.selection.topics = raw.topics;
    if (raw.partition >= 0) options.selection.partition = raw.partition;
    if (!raw.offset_range.empty()) {
        const auto range = parse_offset_range(raw.offset_range);
        if (!range) throw CLI::ValidationError("-o", raw.offset_range + " is no A..B");
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
    options.properties = to_properties(raw);
    options.format = raw.file_format == "csv" ? FileFormat::csv : FileFormat::ndjson;
    options.shifts_time = raw.timestamps == "shifted";
    if (raw.gap_max_ms > 0) options.gap_max = std::chrono::milliseconds{raw.gap_max_ms};
    if (is_export) return options;
    const auto speed = parse_speed(raw.speed);
    if (!speed) throw CLI::ValidationError("--speed", raw.speed + " is no speed");
    options.speed = *speed;
    return options;
}

Command to_command(const CLI::App& app, const Raw& raw) {
    if (app.got_subcommand("status")) return StatusOptions{raw.source, raw.account, raw.json};
    if (app.got_subcommand("topics")) return TopicsOptions{raw.source, raw.json};
    if (app.got_subcommand("consume")) return to_consume(raw);
    if (app.got_subcommand("verify")) return VerifyOptions{raw.folder, raw.deep, raw.json};
    if (app.got_subcommand("repair")) return RepairOptions{raw.folder, raw.yes, raw.json};
    if (app.got_subcommand("adopt")) return AdoptOptions{raw.folder, raw.from_start, raw.json};
    if (app.got_subcommand("replay")) return to_replay(raw, false);
    if (app.got_subcommand("export")) return to_replay(raw, true);
    if (app.got_subcommand("passwd")) return raw.passwd;
    return to_reconcile(raw);
}

}  // namespace

std::variant<Command, int> parse_flags(int argc, const char* const* argv) {
    CLI::App app{
        "Looks into a Milepost gateway's log: of a running one over HTTP, of a stopped one in its\n"
        "folder. Exports it, and sends it again.",
        "milepost"};
    app.set_version_flag("--version", "milepost " MILEPOST_VERSION);
    app.require_subcommand(1);
    app.failure_message(CLI::FailureMessage::simple);
    Raw raw;

    auto* status = app.add_subcommand("status", "Where every partition stands");
    add_common(*status, raw);
    add_source(*status, raw);
    status->add_flag("--account", raw.account, "Account for every reading instead");
    auto* topics = app.add_subcommand("topics", "The topics and their partitions");
    add_common(*topics, raw);
    add_source(*topics, raw);
    add_consume(app, raw);
    add_verify_and_repair(app, raw);
    add_adopt(app, raw);
    add_passwd(app, raw);
    add_reconcile(app, raw);
    add_replay(app, raw);
    add_export(app, raw);

    try {
        app.parse(argc, argv);
        return to_command(app, raw);
    } catch (const CLI::Success& done) {
        return app.exit(done, std::cout, std::cerr);
    } catch (const CLI::Error& wrong) {
        fmt::print(stderr, "milepost: {}\n", wrong.what());
        fmt::print(stderr, "milepost --help says what there is.\n");
        return exit_usage;
    }
}

}  // namespace milepost::tool
