#pragma once

#include <cstddef>
#include <string_view>

namespace milepost::access {

// Who a connection is. `user` is empty unless somebody vouched for it: a password that was right,
// or a client certificate. The client id is only what the client says.
struct Identity {
    std::string_view client_id;
    std::string_view user;
};

inline constexpr std::size_t user_bytes_max = 256;

}  // namespace milepost::access
