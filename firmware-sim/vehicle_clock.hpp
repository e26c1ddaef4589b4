#pragma once

#include "storage/base/time.hpp"

#include <chrono>
#include <optional>

namespace milepost::fleet {

// What a vehicle's computer believes the time to be. Right at first. Pure.
class VehicleClock {
public:
    // What it believes at the true time `now`, which never goes back.
    [[nodiscard]] Timestamp read(Timestamp now);

    // False since forget(), until the time is told.
    [[nodiscard]] bool is_set() const { return is_set_; }

    // The clock begins again at 1970, until it is told the time so much later (by the network, by
    // satellites).
    void forget(Timestamp now, std::chrono::milliseconds until_told);

    // It is told the time.
    void set(Timestamp now);

    // From now on it goes wrong by so many millionths; fast if positive.
    void drift(Timestamp now, double millionths);

private:
    void tell_if_due(Timestamp now);
    [[nodiscard]] Timestamp believed(Timestamp now) const;

    // It read `reading_` when it really was `at_`.
    std::optional<Timestamp> at_;
    Timestamp reading_{0};
    std::optional<Timestamp> told_at_;
    double drift_ = 0;
    bool is_set_ = true;
};

}  // namespace milepost::fleet
