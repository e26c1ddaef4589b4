#pragma once

#include "gateway/tool/replay_options.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace CLI {
class App;
}

// Flags that several commands have.
namespace milepost::tool {

// To milliseconds.
extern const std::map<std::string, std::uint64_t> time_units;

void add_json(CLI::App& command, bool& json);
void add_source(CLI::App& command, SourceOptions& source);

// Of `-X NAME=VALUE`; throws CLI::ValidationError.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> to_properties(
    const std::vector<std::string>& given
);

}  // namespace milepost::tool
