#pragma once

#include "gateway/broker/message.hpp"

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace milepost::broker {

// The last retained message of each topic: MQTT 5.0, section 3.3.1.3. A new value counts in the
// limits at once and is seen when it is durable. Pure.
class RetainedStore {
public:
    struct Limits {
        std::size_t messages_max = 10'000;
        std::size_t bytes_max = 16UL * 1024 * 1024;
    };

    explicit RetainedStore(Limits limits)
        : limits_(limits) {}

    // The value that the topic gets: `message`, or null, that is none: its payload is empty
    // (MQTT-3.3.1-6), or there is no room for it; an older value would be a wrong one.
    // settle() it when it is durable.
    [[nodiscard]] MessagePtr set(const MessagePtr& message);
    // Whether set() of an empty payload would change anything.
    [[nodiscard]] bool has(std::string_view topic) const;
    // The topic's value is durable now.
    void settle(std::string_view topic, const MessagePtr& value);
    // From before the restart.
    void restore(const MessagePtr& message);

    struct Found {
        MessagePtr message;    // null: none among those that were looked at
        bool is_done = false;  // nothing is behind `after` any more
    };

    // The next visible message whose topic matches `filter`, behind the topic `after` (empty: from
    // the front), which moves there. Looks at `looks_max` topics at most.
    [[nodiscard]] Found next(
        std::string_view filter,
        std::string& after,
        Timestamp now,
        std::size_t looks_max
    ) const;

    // Messages that have expired: their topics are set to none, for the owner to forget.
    [[nodiscard]] std::vector<std::string> take_expired(Timestamp now);

    // Messages that count in the limits.
    [[nodiscard]] std::size_t size() const { return messages_; }

    [[nodiscard]] std::size_t bytes() const { return bytes_; }

private:
    struct Slot {
        MessagePtr newest;   // what the limits count
        MessagePtr visible;  // what is durable
    };

    void replace(MessagePtr& slot, const MessagePtr& message);

    std::map<std::string, Slot, std::less<>> slots_;
    Limits limits_;
    std::size_t messages_ = 0;
    std::size_t bytes_ = 0;
};

}  // namespace milepost::broker
