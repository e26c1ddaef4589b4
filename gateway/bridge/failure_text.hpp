#pragma once

#include <cstddef>
#include <string>
#include <string_view>

// What went wrong with a broker, in words that an operator can act on. Pure.
namespace milepost::bridge {

// What Paho says, with its code, of a connection that could not be made. What Paho words well
// enough stays.
[[nodiscard]] std::string connect_failure(int code, std::string_view paho_text);

// Whether the broker knows nothing of that try: its CONNECT was not sent, or was refused. False
// also when that cannot be told.
[[nodiscard]] bool is_without_session(int code, std::string_view paho_text);

// Of an untrusted text: its first line, without white space at its end, at most `bytes_max`.
[[nodiscard]] std::string first_line(std::string_view text, std::size_t bytes_max);

}  // namespace milepost::bridge
