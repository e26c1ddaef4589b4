#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

// Files of ours that hold one thing a line. Pure.
namespace milepost::access {

inline constexpr std::size_t problems_max = 20;  // that are told of one file

inline std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blanks = " \t\r";
    const auto first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// The first word and, without the blanks between them, what is behind it.
struct Words {
    std::string_view first;
    std::string_view rest;
};

inline Words first_word(std::string_view text) {
    text = trimmed(text);
    const auto blank = text.find_first_of(" \t");
    if (blank == std::string_view::npos) return {text, {}};
    return {text.substr(0, blank), trimmed(text.substr(blank))};
}

// Gives the lines that say something, trimmed; empty ones and those that begin with `#` do not.
class TextLines {
public:
    explicit TextLines(std::string_view text)
        : rest_(text) {}

    [[nodiscard]] std::optional<std::string_view> next() {
        while (!rest_.empty()) {
            const auto end = rest_.find('\n');
            const std::string_view line = trimmed(rest_.substr(0, end));
            rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
            ++number_;
            if (!line.empty() && line.front() != '#') return line;
        }
        return std::nullopt;
    }

    // Of the line that next() gave; from 1.
    [[nodiscard]] std::size_t number() const { return number_; }

private:
    std::string_view rest_;
    std::size_t number_ = 0;
};

}  // namespace milepost::access
