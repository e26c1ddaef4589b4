#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace milepost::upstream {

inline constexpr std::size_t secret_bytes_max = 64 * 1024;

// The librdkafka property whose value the file holds that property `name` points to: for
// `sasl.password_file` it is `sasl.password`. nullopt: `name` is no such property.
[[nodiscard]] std::optional<std::string_view> secret_of(std::string_view name);

// Reads a secret, without the line end behind it. A relative `path` is below
// $CREDENTIALS_DIRECTORY, where systemd puts the credentials of the service, if that is set. Gives
// what is wrong, in words that do not hold the secret; nullopt: `secret` has it.
[[nodiscard]] std::optional<std::string> read_secret(std::string_view path, std::string& secret);

}  // namespace milepost::upstream
