#include "gateway/access_files.hpp"
#include "gateway/app.hpp"
#include "gateway/bridges.hpp"
#include "gateway/config.hpp"
#include "gateway/flags.hpp"
#include "gateway/logging.hpp"
#include "gateway/upstream/client_settings.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace {

std::optional<std::string> check_property(
    std::string_view name,
    std::string_view value,
    milepost::Delivery delivery
) {
    auto reason = milepost::upstream::check_property(name, value);
    if (reason || delivery != milepost::Delivery::exactly_once) return reason;
    return milepost::upstream::check_transactional_property(name, value);
}

// librdkafka has the SASL library load all of its plug-ins, a data base among them, whatever it
// then uses: half a MiB. Who sets the variable himself keeps it. Before the first thread.
void leave_out_sasl_plugins(const milepost::Config& config) {
    if (config.upstream && milepost::upstream::needs_sasl_plugins(config.upstream->librdkafka))
        return;
    constexpr int keep = 0;
    ::setenv("SASL_PATH", "/nonexistent", keep);
}

}  // namespace

int main(int argc, char** argv) {
    using namespace milepost;
    int exit_status = 0;
    const auto flags = parse_flags(argc, argv, exit_status);
    if (!flags) return exit_status;

    auto loaded = load_config(flags->config, check_property);
    for (const auto& error : loaded.errors)
        std::fprintf(stderr, "%s\n", error.text().c_str());
    if (!loaded.errors.empty()) return static_cast<int>(ExitStatus::configuration);
    if (flags->check_config) {
        auto problems = read_access_files(loaded.config.mqtt, {}).problems;
        for (auto& problem : check_bridge_files(loaded.config))
            problems.push_back(std::move(problem));
        for (const auto& problem : problems)
            std::fprintf(stderr, "%s\n", problem.c_str());
        if (!problems.empty()) return static_cast<int>(ExitStatus::configuration);
        if (const auto& config = loaded.config.upstream) {
            const auto warning =
                upstream::library_warning(config->librdkafka, upstream::library_version());
            if (warning) std::fprintf(stderr, "warning: %s\n", warning->c_str());
        }
        std::puts("configuration is good");
        return static_cast<int>(ExitStatus::ok);
    }

    std::signal(SIGPIPE, SIG_IGN);
    leave_out_sasl_plugins(loaded.config);
    loaded.config.log.real_time = flags->real_time;
    try {
        App app{std::move(loaded.config)};
        return static_cast<int>(app.run());
    } catch (const std::exception& error) {
        logging::error("cannot go on: {}", error.what());
        return static_cast<int>(ExitStatus::run_time);
    }
}
