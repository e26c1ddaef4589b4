#include "gateway/bridge/failure_text.hpp"

#include <algorithm>
#include <array>

namespace milepost::bridge {

namespace {

// MQTT 3.1.1, table 3.1; the code is the index.
constexpr std::array<std::string_view, 6> connack_texts{
    "",
    "it does not speak this version of MQTT",
    "it does not take this client_id",
    "it is not available",
    "wrong user or password",
    "not authorised (user, password or client_id)"};

bool is_connack(std::string_view paho_text) {
    return paho_text.find("CONNACK return code") != std::string_view::npos;
}

}  // namespace

std::string connect_failure(int code, std::string_view paho_text) {
    if (is_connack(paho_text) && code > 0 &&
        static_cast<std::size_t>(code) < connack_texts.size()) {
        const auto text = connack_texts.at(static_cast<std::size_t>(code));
        return "the broker refuses the connection: " + std::string{text};
    }
    // Paho's words for both.
    if (paho_text.find("TCP connect timeout") != std::string_view::npos) {
        return "no connection, or no answer to CONNECT, within connect_timeout";
    }
    return std::string{paho_text};
}

// Paho says "TCP/TLS connect failure" until it has sent CONNECT. "TCP connect timeout" may come
// after.
bool is_without_session(int code, std::string_view paho_text) {
    if (is_connack(paho_text)) return code > 0;
    return paho_text.find("TCP/TLS connect failure") != std::string_view::npos;
}

std::string first_line(std::string_view text, std::size_t bytes_max) {
    text = text.substr(0, std::min(text.find_first_of("\r\n"), bytes_max));
    const auto last = text.find_last_not_of(" \t");
    return std::string{text.substr(0, last == std::string_view::npos ? 0 : last + 1)};
}

}  // namespace milepost::bridge
