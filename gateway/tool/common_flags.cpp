#include "gateway/tool/common_flags.hpp"

#include <CLI/CLI.hpp>

namespace milepost::tool {

const std::map<std::string, std::uint64_t> time_units{{"ms", 1}, {"s", 1'000}, {"min", 60'000}};

void add_json(CLI::App& command, bool& json) {
    command.add_flag("--json", json, "Print JSON");
}

void add_source(CLI::App& command, SourceOptions& source) {
    auto* url = command.add_option("--url", source.url, "The running gateway's HTTP address");
    url->capture_default_str()->type_name("URL");
    command
        .add_option(
            "--data-dir",
            source.data_dir,
            "Read the folder of a stopped gateway instead; nothing is written"
        )
        ->type_name("DIR")
        ->excludes(url);
}

std::vector<std::pair<std::string, std::string>> to_properties(const std::vector<std::string>& given
) {
    std::vector<std::pair<std::string, std::string>> properties;
    for (const auto& property : given) {
        const auto equals = property.find('=');
        if (equals == std::string::npos || equals == 0) {
            throw CLI::ValidationError("-X", property + " is no NAME=VALUE");
        }
        properties.emplace_back(property.substr(0, equals), property.substr(equals + 1));
    }
    return properties;
}

}  // namespace milepost::tool
