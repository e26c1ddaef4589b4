#pragma once

#include "gateway/bridge/broker_session.hpp"
#include "gateway/mqtt/packet.hpp"
#include "storage/base/bytes.hpp"

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>
#include <variant>

namespace milepost::bridge {

struct Release {
    mqtt::PacketId packet_id = 0;
};

// What crosses: a publish, the release of a QoS 2 one, or the filters that the broker holds from
// now on. Views are valid until it is answered.
using Item = std::variant<mqtt::Publish, Release, const Filters*>;

// Where another thread waits until the network thread has had something made durable: one item at a
// time, so nothing can pile up.
class Crossing {
public:
    // `wake` makes the network thread look here soon; called by the giver's thread, under a lock.
    explicit Crossing(std::function<void()> wake)
        : wake_(std::move(wake)) {}

    // The giver's. Returns when finish() was called; never after park().
    void give(const Item& item);

    // The network thread's. Null: nothing waits.
    [[nodiscard]] const Item* waiting() const;
    void finish();
    // The process ends: who gives, or has given, waits for ever, so that Paho sends no ack.
    void park();

private:
    std::function<void()> wake_;
    mutable std::mutex mutex_;
    std::condition_variable is_finished_;
    const Item* item_ = nullptr;
    bool is_parked_ = false;
};

}  // namespace milepost::bridge
