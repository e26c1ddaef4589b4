#pragma once

#include "storage/base/result.hpp"
#include "storage/meta/database.hpp"

#include <string_view>

namespace milepost::storage {

// For `milepost adopt`: what is known of the log `from` is known of `to`, too, which has the same
// readings at the same offsets: the gap ledger, and with `positions` how far forwarding is. In one
// transaction, durable on return; what is of `from` stays, so a crash before the log has its new id
// changes nothing.
Result<void> carry_over(
    Connection& connection,
    std::string_view from,
    std::string_view to,
    bool positions
);

}  // namespace milepost::storage
