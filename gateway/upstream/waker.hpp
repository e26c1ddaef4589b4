#pragma once

#include "storage/base/time.hpp"

#include <optional>

namespace milepost::upstream {

// Where one thread sleeps until something happens: an eventfd that librdkafka writes to as well.
class Waker {
public:
    Waker();
    Waker(const Waker&) = delete;
    Waker& operator=(const Waker&) = delete;
    ~Waker();

    // Ends the current wait, or the next one. Thread: any. Cheap, never blocks.
    void wake();
    // Sleeps until woken, or for `wait_max`; nullopt: for as long as it takes.
    void wait(std::optional<Duration> wait_max);

    // Writing eight bytes of a number that is not 0 to it wakes, too.
    [[nodiscard]] int descriptor() const { return descriptor_; }

private:
    int descriptor_;
};

}  // namespace milepost::upstream
