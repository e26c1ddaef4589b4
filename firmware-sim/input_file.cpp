#include "firmware-sim/input_file.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>

namespace milepost::fleet {

Input<std::string> read_input(const std::string& path) {
    const auto failed = [&path](const char* why) {
        return InputError{fmt::format("{}: {}", path, why)};
    };
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{
        std::fopen(path.c_str(), "rbe"),
        &std::fclose};
    if (!file) return failed(std::strerror(errno));
    std::string text;
    std::array<char, 65'536> piece;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    while (const std::size_t got = std::fread(piece.data(), 1, piece.size(), file.get())) {
        text.append(piece.data(), got);
        if (text.size() > input_bytes_max) return failed("larger than 16 MiB");
    }
    if (std::ferror(file.get()) != 0) return failed(std::strerror(errno));
    return text;
}

bool parse_numbers(std::string_view line, std::vector<double>& numbers) {
    constexpr std::string_view between = ",; \t";
    numbers.clear();
    for (;;) {
        const std::size_t first = line.find_first_not_of(between);
        if (first == std::string_view::npos) return !numbers.empty();
        line.remove_prefix(first);
        double number = 0;
        const char* const end = line.data() + line.size();
        const auto [stopped, error] = std::from_chars(line.data(), end, number);
        if (error != std::errc{} || !std::isfinite(number)) return false;
        line.remove_prefix(static_cast<std::size_t>(stopped - line.data()));
        if (!line.empty() && between.find(line.front()) == std::string_view::npos) return false;
        numbers.push_back(number);
    }
}

}  // namespace milepost::fleet
