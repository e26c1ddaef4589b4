#include "gateway/tool/flags.hpp"

#include "gateway/tool/common_flags.hpp"
#include "gateway/tool/failure.hpp"
#include "gateway/tool/replay_flags.hpp"

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include <cstdio>
#include <iostream>

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
    ReplayFlags replay;
};

void add_consume(CLI::App& app, Raw& raw) {
    auto* consume = app.add_subcommand("consume", "Print the records of the log");
    add_json(*consume, raw.json);
    add_source(*consume, raw.source);
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
    add_json(*verify, raw.json);
    verify->add_option("DIR", raw.folder, "The data folder")->required();
    verify->add_flag("--deep", raw.deep, "Also decompress and walk the records");
    auto* repair = app.add_subcommand(
        "repair",
        "Say what would put a stopped gateway's folder right again; with --yes, do it.\n"
        "What is replaced is kept beside as <name>.damaged-<N>. Exit 0: nothing to do, or done;\n"
        "1: something could not be repaired; 2: nothing there, or in use"
    );
    add_json(*repair, raw.json);
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
    add_json(*adopt, raw.json);
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
    add_json(*reconcile, raw.json);
    add_source(*reconcile, raw.source);
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

ReconcileOptions to_reconcile(const Raw& raw) {
    ReconcileOptions options;
    options.source = raw.source;
    options.ledgers = raw.ledgers;
    options.brokers = raw.brokers;
    options.wait = std::chrono::milliseconds{raw.wait_ms};
    options.json = raw.json;
    options.properties = to_properties(raw.properties);
    return options;
}

Command to_command(const CLI::App& app, const Raw& raw) {
    if (app.got_subcommand("status")) return StatusOptions{raw.source, raw.account, raw.json};
    if (app.got_subcommand("topics")) return TopicsOptions{raw.source, raw.json};
    if (app.got_subcommand("consume")) return to_consume(raw);
    if (app.got_subcommand("verify")) return VerifyOptions{raw.folder, raw.deep, raw.json};
    if (app.got_subcommand("repair")) return RepairOptions{raw.folder, raw.yes, raw.json};
    if (app.got_subcommand("adopt")) return AdoptOptions{raw.folder, raw.from_start, raw.json};
    if (app.got_subcommand("replay")) return raw.replay.options(false);
    if (app.got_subcommand("export")) return raw.replay.options(true);
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
    add_json(*status, raw.json);
    add_source(*status, raw.source);
    status->add_flag("--account", raw.account, "Account for every reading instead");
    auto* topics = app.add_subcommand("topics", "The topics and their partitions");
    add_json(*topics, raw.json);
    add_source(*topics, raw.source);
    add_consume(app, raw);
    add_verify_and_repair(app, raw);
    add_adopt(app, raw);
    add_passwd(app, raw);
    add_reconcile(app, raw);
    raw.replay.add_to(app);

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
