#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace milepost::fleet {

// What is wrong with a file that the user gave, for the user.
struct InputError {
    std::string what;
};

template <class T>
using Input = std::variant<T, InputError>;

// No drive cycle, route or scenario needs more.
inline constexpr std::size_t input_bytes_max = 16 * std::size_t{1024} * 1024;

// The file's bytes. A file that cannot be read, or is too large, is an error with its name.
[[nodiscard]] Input<std::string> read_input(const std::string& path);

// A line of numbers with commas, semicolons, TABs or spaces between them. Nothing if something else
// is in it, or a number that is not finite.
[[nodiscard]] bool parse_numbers(std::string_view line, std::vector<double>& numbers);

// Calls `each(number of the line from 1, line)` for every line with something on it but a comment
// (#); the first one that gives false ends it.
template <class Each>
void for_each_line(std::string_view text, Each each) {
    std::size_t number = 0;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
        ++number;
        if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
        const std::size_t first = line.find_first_not_of(" \t");
        if (first == std::string_view::npos || line[first] == '#') continue;
        if (!each(number, line.substr(first))) return;
    }
}

}  // namespace milepost::fleet
