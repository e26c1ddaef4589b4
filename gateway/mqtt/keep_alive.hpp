#pragma once

#include "storage/base/time.hpp"

#include <cstdint>
#include <optional>

namespace milepost::mqtt {

// When a silent device is given up: one and a half times its keep-alive after its last whole packet
// (MQTT-3.1.2-24 in 3.1.1, -22 in 5.0). Pure: knows no clock. While the gateway itself does not
// read from the connection, the device cannot be blamed for silence: it is not timed out, and gets
// a whole new span afterwards.
class KeepAlive {
public:
    KeepAlive() = default;

    // `seconds` 0: never timed out.
    KeepAlive(std::uint16_t seconds, Instant now)
        : last_packet_(now)
        , seconds_(seconds) {}

    void packet(Instant now) { last_packet_ = now; }

    void pause() { paused_ = true; }

    void resume(Instant now) {
        paused_ = false;
        last_packet_ = now;
    }

    // nullopt: not at all, or not before resume().
    [[nodiscard]] std::optional<Instant> deadline() const;

    [[nodiscard]] bool is_expired(Instant now) const;

private:
    Instant last_packet_{};
    std::uint16_t seconds_ = 0;
    bool paused_ = false;
};

}  // namespace milepost::mqtt
