#pragma once

#include "storage/base/units.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace milepost::bridge {

enum class Version : std::uint8_t { v3_1_1, v5 };

// One broker: what a [[bridge]] says.
struct Options {
    std::string name;
    std::string url;  // "mqtt://host:port" or "mqtts://host:port"
    std::string client_id;
    std::vector<std::string> filters;
    int qos = 2;  // or 1
    Version version = Version::v3_1_1;
    std::string user;              // empty: none
    std::string password;          // a secret: never printed
    std::string ca_file;           // empty: the system's
    std::string certificate_file;  // empty: none
    std::string key_file;
    std::chrono::seconds keep_alive{30};
    std::chrono::seconds connect_timeout{10};
    std::chrono::seconds session_expiry{std::chrono::hours{24 * 7}};  // 5.0
    std::chrono::milliseconds reconnect_min{1'000};
    std::chrono::milliseconds reconnect_max{60'000};
    std::uint16_t in_flight_max = 20;             // 5.0's Receive Maximum
    std::size_t packet_bytes_max = 256 * kib;     // 5.0's Maximum Packet Size
    std::size_t unreleased_bytes_max = 16 * mib;  // see README.md
    std::uint64_t seed = 0;                       // of the backoff
};

}  // namespace milepost::bridge
