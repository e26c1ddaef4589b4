#pragma once

#include "gateway/config_keys.hpp"
#include "storage/format/compression.hpp"

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <variant>

// The parts of the key table, one source each, and what their setters need.
namespace milepost {

[[nodiscard]] std::span<const Key> mqtt_keys();      // mqtt.listener, mqtt, admin
[[nodiscard]] std::span<const Key> bridge_keys();    // bridge
[[nodiscard]] std::span<const Key> route_keys();     // route, topic
[[nodiscard]] std::span<const Key> upstream_keys();  // upstream
[[nodiscard]] std::span<const Key> log_keys();       // log, time

namespace keys {

inline constexpr std::int64_t kibi = 1024;
inline constexpr std::int64_t mebi = 1024 * kibi;
inline constexpr std::int64_t any_bytes = std::numeric_limits<std::int64_t>::max();

// The value of a key of type integer, bytes, milliseconds or seconds, which is within its limits.
template <class T>
T number(const KeyValue& value) {
    return static_cast<T>(std::get<std::int64_t>(value));
}

// The value of a key of type text or list.
inline const std::string& text(const KeyValue& value) {
    return std::get<std::string>(value);
}

// The value of a key with the choices none|lz4|zstd.
inline storage::Codec codec(const KeyValue& value) {
    if (text(value) == "none") return storage::Codec::none;
    return text(value) == "lz4" ? storage::Codec::lz4 : storage::Codec::zstd;
}

}  // namespace keys

}  // namespace milepost
