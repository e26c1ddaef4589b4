#pragma once

#include "gateway/broker/outgoing.hpp"
#include "gateway/broker/subscription_tree.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace milepost::broker {

// Retained messages that a new subscription is to get, one after the other as there is room.
struct RetainedScan {
    std::string filter;
    SubscriptionOptions options;
    std::string after;  // the topic that was looked at last
};

// What a session has subscribed to, and what it is still to be sent. Its subscriptions leave the
// tree, which outlives it, with it.
class Subscriber : public std::enable_shared_from_this<Subscriber> {
public:
    Subscriber(SubscriptionTree& tree, std::string_view client_id, Outgoing::Limits limits)
        : outgoing(limits)
        , tree_(&tree)
        , client_id_(client_id) {}

    ~Subscriber();
    Subscriber(const Subscriber&) = delete;
    Subscriber& operator=(const Subscriber&) = delete;

    [[nodiscard]] const std::string& client_id() const { return client_id_; }

    // True: there was no such subscription before.
    bool subscribe(std::string_view filter, const SubscriptionOptions& options);
    // False: there was none.
    bool unsubscribe(std::string_view filter);

    [[nodiscard]] bool has(std::string_view filter) const { return filters_.contains(filter); }

    [[nodiscard]] std::size_t subscriptions() const { return filters_.size(); }

    // In place of one for the same filter.
    void scan_retained(std::string_view filter, const SubscriptionOptions& options);

    Outgoing outgoing;
    std::deque<RetainedScan> scans;
    std::uint64_t match = 0;                // the publish that was matched last, and
    std::size_t match_index = 0;            // where in its targets this one is
    std::uint32_t connection = 0xFFFFFFFF;  // its slot from the CONNACK on
    std::uint16_t window = 0xFFFF;          // what the device takes at once
    bool is_kept = false;                   // the log has a state of its session
    bool is_to_be_pumped = false;

private:
    SubscriptionTree* tree_;
    std::string client_id_;
    std::map<std::string, SubscriptionOptions, std::less<>> filters_;
};

}  // namespace milepost::broker
