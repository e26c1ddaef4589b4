#pragma once

#include "gateway/mqtt/packet.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace milepost::broker {

class Subscriber;

// What a subscription asks for besides its filter.
struct SubscriptionOptions {
    std::uint32_t identifier = 0;  // 5.0; 0: none
    mqtt::Qos qos = mqtt::Qos::at_most_once;
    bool no_local = false;
    bool retain_as_published = false;

    friend bool operator==(const SubscriptionOptions&, const SubscriptionOptions&) = default;
};

// Topic filters, level by level, and who has subscribed to them. A publish costs a walk along its
// topic's levels, however many subscriptions there are. Pure. `Subscriber` is a mere pointer here.
class SubscriptionTree {
public:
    struct Entry {
        Subscriber* subscriber = nullptr;
        SubscriptionOptions options;
    };

    SubscriptionTree();
    ~SubscriptionTree();
    SubscriptionTree(const SubscriptionTree&) = delete;
    SubscriptionTree& operator=(const SubscriptionTree&) = delete;

    // `filter` is valid. Replaces the options of one that is there already.
    void add(std::string_view filter, Subscriber& subscriber, const SubscriptionOptions& options);
    // No-op if there is none.
    void remove(std::string_view filter, const Subscriber& subscriber);

    [[nodiscard]] bool empty() const { return size_ == 0; }

    // Subscriptions.
    [[nodiscard]] std::size_t size() const { return size_; }

    // About what they take in memory.
    [[nodiscard]] std::size_t bytes() const { return bytes_; }

    [[nodiscard]] static std::size_t cost_bytes(std::string_view filter);

    // Puts every entry whose filter matches `topic` into `into`; one subscriber may be there
    // several times. A filter that begins with a wildcard matches no topic that begins with `$`
    // (MQTT-4.7.2-1).
    void match(std::string_view topic, std::vector<const Entry*>& into) const;

private:
    struct Node {
        std::map<std::string, std::unique_ptr<Node>, std::less<>> children;  // `+` and `#` too
        std::vector<Entry> entries;
    };

    static void match_below(
        const Node& node,
        std::string_view rest,
        bool is_first,
        std::vector<const Entry*>& into
    );
    bool remove_below(Node& node, std::string_view rest, bool is_end, const Subscriber& subscriber);

    std::unique_ptr<Node> root_;
    std::size_t size_ = 0;
    std::size_t bytes_ = 0;
};

}  // namespace milepost::broker
