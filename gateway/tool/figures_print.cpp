#include "gateway/tool/figures_print.hpp"

#include "gateway/json_writer.hpp"

#include <fmt/core.h>

#include <array>
#include <optional>
#include <string_view>
#include <utility>

namespace milepost::tool {

namespace {

using Line = std::pair<std::string_view, std::optional<std::uint64_t>>;

std::array<Line, 11> lines_of(const Figures& figures) {
    return {
        Line{"sampled", figures.sampled},
        Line{"published", figures.published},
        Line{"acknowledged", figures.acknowledged},
        Line{"logged", figures.logged},
        Line{"forwarded", figures.forwarded},
        Line{"lost", figures.lost},
        Line{"duplicated_by_vehicle", figures.duplicated_by_vehicle},
        Line{"duplicated_in_log", figures.duplicated_in_log},
        Line{"duplicated_upstream", figures.duplicated_upstream},
        Line{"out_of_order", figures.out_of_order},
        Line{"unexplained", figures.unexplained},
    };
}

}  // namespace

std::string figures_text(const Figures& figures) {
    std::string text;
    for (const auto& [name, value] : lines_of(figures)) {
        text += value ? fmt::format("{} {}\n", name, *value) : fmt::format("{} -\n", name);
    }
    return text;
}

std::string figures_json(const Figures& figures) {
    JsonWriter writer;
    writer.begin_object();
    for (const auto& [name, value] : lines_of(figures)) {
        writer.key(name);
        if (value) {
            writer.integer(*value);
        } else {
            writer.null();
        }
    }
    writer.end_object();
    return writer.str() + "\n";
}

}  // namespace milepost::tool
