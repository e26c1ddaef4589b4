#pragma once

#include <cstdint>
#include <vector>

namespace milepost::forward {

// Of topics whose readings matter more, more goes upstream while there is a backlog; no topic
// starves. All three with a backlog get 76, 19 and 5 %.
enum class Priority : std::uint8_t { high, normal, low };

[[nodiscard]] std::int64_t weight_of(Priority priority);

// Somebody who has something to send.
struct Demand {
    std::int64_t wanted = 0;
    std::int64_t weight = 1;
    std::int64_t share = 0;  // what it gets
};

// Shares `room` out by weight; what one does not want goes to the others. Each gets at least 1,
// though that be over `room`. Pure.
void share_out(std::int64_t room, std::vector<Demand>& demands);

}  // namespace milepost::forward
