#include "gateway/tool/host_port.hpp"

#include <charconv>

namespace milepost::tool {

std::optional<HostPort> parse_host_port(
    std::string_view text,
    std::string_view default_port,
    std::string& problem
) {
    const auto refuse = [&](std::string_view why) {
        problem = why;
        return std::nullopt;
    };
    HostPort address{.host = {}, .port = std::string{default_port}};
    auto rest = text;
    const bool is_v6 = rest.starts_with('[');
    const auto end_of_host = is_v6 ? rest.find(']') : rest.find(':');
    if (is_v6 && end_of_host == std::string_view::npos) return refuse("`[` without `]`");
    address.host = is_v6 ? rest.substr(1, end_of_host - 1) : rest.substr(0, end_of_host);
    rest = end_of_host == std::string_view::npos ? "" : rest.substr(end_of_host + (is_v6 ? 1 : 0));
    if (!rest.empty()) {
        unsigned port = 0;
        const auto digits = rest.substr(1);
        const auto [end, failed] =
            std::from_chars(digits.data(), digits.data() + digits.size(), port);
        const bool is_whole = failed == std::errc{} && end == digits.data() + digits.size();
        if (rest.front() != ':' || !is_whole || port == 0 || port > 0xFFFF) {
            return refuse("no port, and no path is taken");
        }
        address.port = digits;
    }
    if (address.host.empty() || address.host.find_first_of("/?#@ ") != std::string::npos) {
        return refuse("no host");
    }
    return address;
}

}  // namespace milepost::tool
