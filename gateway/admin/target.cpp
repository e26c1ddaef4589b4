#include "gateway/admin/target.hpp"

#include <charconv>

namespace milepost::admin {

namespace {

std::optional<std::string> decode(std::string_view text, bool plus_is_space) {
    std::string out;
    while (!text.empty()) {
        if (text.front() != '%') {
            out += plus_is_space && text.front() == '+' ? ' ' : text.front();
            text.remove_prefix(1);
            continue;
        }
        unsigned value = 0;
        if (text.size() < 3) return std::nullopt;
        const auto* digits = text.data() + 1;
        const auto [end, failed] = std::from_chars(digits, digits + 2, value, 16);
        if (failed != std::errc{} || end != digits + 2) return std::nullopt;
        out += static_cast<char>(value);
        text.remove_prefix(3);
    }
    return out;
}

}  // namespace

const std::string* Target::find(std::string_view name) const {
    const auto found = query.find(name);
    return found == query.end() ? nullptr : &found->second;
}

std::optional<std::int64_t> Target::number(std::string_view name) const {
    const auto* text = find(name);
    if (text == nullptr) return std::nullopt;
    std::int64_t value = 0;
    const auto* end_of_text = text->data() + text->size();
    const auto [end, failed] = std::from_chars(text->data(), end_of_text, value);
    if (failed != std::errc{} || end != end_of_text) return std::nullopt;
    return value;
}

std::optional<Target> parse_target(std::string_view text) {
    if (!text.starts_with('/')) return std::nullopt;
    Target target;
    const auto mark = text.find('?');
    auto path = decode(text.substr(0, mark), false);
    if (!path) return std::nullopt;
    target.path = std::move(*path);
    auto rest = mark == std::string_view::npos ? std::string_view{} : text.substr(mark + 1);
    while (!rest.empty()) {
        const auto end = rest.find('&');
        const auto pair = rest.substr(0, end);
        rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
        const auto equals = pair.find('=');
        auto name = decode(pair.substr(0, equals), true);
        auto value = equals == std::string_view::npos ? std::optional{std::string{}}
                                                      : decode(pair.substr(equals + 1), true);
        if (!name || !value || target.query.size() >= query_parameters_max) return std::nullopt;
        target.query.insert_or_assign(std::move(*name), std::move(*value));
    }
    return target;
}

}  // namespace milepost::admin
