#include "gateway/flags.hpp"

#include "gateway/app.hpp"
#include "gateway/version.hpp"

#include <CLI/CLI.hpp>

namespace milepost {

std::optional<Flags> parse_flags(int argc, char** argv, int& exit_status) {
    CLI::App app{
        "Milepost: takes vehicle sensors' readings over MQTT, acknowledges each when it is on the "
        "disk, and forwards them to Kafka."};
    app.name("milepostd");
    app.set_version_flag("--version", "milepostd " + std::string{version});
    Flags flags;
    app.add_option("--config", flags.config, "Configuration file (TOML)")
        ->required()
        ->type_name("FILE");
    app.add_flag(
        "--check-config",
        flags.check_config,
        "Check the configuration and exit: 0, or 78 with every error as file:line:column: what"
    );
    app.add_flag(
        "--real-time",
        flags.real_time,
        "Who acknowledges runs in real time while that takes less than 3/4 of a core"
    );
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        const bool is_answer = app.exit(error) == 0;  // --help, --version
        exit_status = static_cast<int>(is_answer ? ExitStatus::ok : ExitStatus::usage);
        return std::nullopt;
    }
    return flags;
}

}  // namespace milepost
