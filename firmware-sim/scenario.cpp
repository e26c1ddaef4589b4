#include "firmware-sim/scenario.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace milepost::fleet {

namespace {

constexpr double number_max = 1e6;

// A number at the front of `text`, which is taken away.
std::optional<double> take_number(std::string_view& text) {
    double number = 0;
    const char* const end = text.data() + text.size();
    const auto [stopped, error] =
        std::from_chars(text.data(), end, number, std::chars_format::fixed);
    if (error != std::errc{} || !std::isfinite(number) || number < 0 || number > number_max) {
        return std::nullopt;
    }
    text.remove_prefix(static_cast<std::size_t>(stopped - text.data()));
    return number;
}

bool take(std::string_view& text, char wanted) {
    if (text.empty() || text.front() != wanted) return false;
    text.remove_prefix(1);
    return true;
}

}  // namespace

std::optional<Selection> Selection::parse(std::string_view text) {
    Selection selection;
    if (text == "all") {
        selection.ranges_.push_back({.first = 0, .last = 1, .is_share = true});
        return selection;
    }
    do {
        const auto first = take_number(text);
        const auto second = first && take(text, '-') ? take_number(text) : first;
        if (!first || !second) return std::nullopt;
        const bool is_share = take(text, '%');
        const bool is_single = first == second;
        Range range{.first = *first, .last = *second, .is_share = is_share};
        if (is_share) {
            range = {
                .first = is_single ? 0 : *first / 100,
                .last = *second / 100,
                .is_share = true};
            if (range.last > 1) return std::nullopt;
        } else if (range.first < 1 || std::floor(range.first) != range.first ||
                   std::floor(range.last) != range.last) {
            return std::nullopt;
        }
        if (range.last < range.first) return std::nullopt;
        selection.ranges_.push_back(range);
    } while (take(text, ','));
    return text.empty() ? std::optional{selection} : std::nullopt;
}

bool Selection::includes(std::uint32_t index, std::uint32_t count) const {
    return std::any_of(ranges_.begin(), ranges_.end(), [&](const Range& range) {
        if (!range.is_share) return range.first <= index + 1.0 && index + 1.0 <= range.last;
        const double share = static_cast<double>(index) / count;
        return range.first <= share && share < range.last;
    });
}

}  // namespace milepost::fleet
