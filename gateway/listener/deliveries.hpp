#pragma once

#include "gateway/broker/retained_store.hpp"
#include "gateway/broker/stored_rows.hpp"
#include "gateway/broker/subscriber.hpp"
#include "gateway/broker/subscription_tree.hpp"
#include "gateway/listener/events.hpp"
#include "gateway/listener/options.hpp"
#include "gateway/listener/subscriber_state.hpp"
#include "gateway/mqtt/packet.hpp"
#include "storage/base/ack_token.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace milepost::listener {

// The slot that an AckToken of deliveries names: no connection has it.
inline constexpr std::uint32_t deliveries_connection = no_connection;

// From a publish that the log takes to the queues of those who have subscribed to it. Matched when
// it is appended, queued for sending when its group is durable: nobody hears of what a power cut
// may still take back. What a kept session is owed (QoS 1 and 2), and a retained value, are in the
// same group as the record. Knows no connection. Thread: the network's.
class Deliveries {
public:
    // All outlive it.
    Deliveries(const Options& options, Events& events, ListenerStats& stats);

    // --- from before the restart, in the order of keys ---

    // False: the key is a client id's.
    bool restore_row(std::string_view key, Bytes bytes);
    void restore_subscriber(SessionTable::Entry& entry, const SubscriberState& state);
    // No more come: what nobody refers to is forgotten.
    void restored();

    // --- publishes ---

    // Whether there is more to do for it than to write it: one look where nobody has subscribed.
    [[nodiscard]] bool concerns(const mqtt::Publish& publish) const {
        return publish.retain || !tree_.empty();
    }

    // As Events::on_publish, and for subscribers.
    mqtt::Taken publish(
        const mqtt::Publish& publish,
        std::string_view client_id,
        AckToken token,
        Bytes change
    );
    // As Events::on_will, and for subscribers. False: not now.
    bool will(const StoredWill& will, std::string_view client_id);

    void set_now(Timestamp now) { now_ = now; }

    // --- subscriptions ---

    [[nodiscard]] broker::Subscriber& subscriber_of(SessionTable::Entry& entry);
    // What a SUBSCRIBE is told of one filter; `added`: new ones of the same packet.
    [[nodiscard]] mqtt::ReasonCode judge(
        const SessionTable::Entry& entry,
        const mqtt::Subscription& wanted,
        std::size_t added
    );
    void note_subscriptions();

    // --- sending ---

    // Puts the token of what was matched so far into the open group.
    void close_batch();
    // The token came back.
    void durable();
    // Moves retained messages into the queue of `subscriber`. False: there are none left for now.
    bool scan_retained(broker::Subscriber& subscriber);
    // The message under that packet id is done with.
    void done(const broker::Subscriber& subscriber, mqtt::PacketId packet_id);
    // The device has the QoS 2 message; the token comes back when that is durable. False: not now.
    bool delivered(const broker::Subscriber& subscriber, AckToken token);
    void mark(broker::Subscriber& subscriber);

    [[nodiscard]] std::vector<std::weak_ptr<broker::Subscriber>> take_marked() {
        return std::exchange(marked_, {});
    }

    // Something is in the open group that nobody commits for.
    [[nodiscard]] bool take_wants_commit() { return std::exchange(wants_commit_, false); }

    void forget_expired();

private:
    struct Target {
        broker::Subscriber* subscriber = nullptr;
        mqtt::Qos qos = mqtt::Qos::at_most_once;
        bool retain_as_published = false;
        std::vector<std::uint32_t> identifiers;
    };

    struct Item {
        std::weak_ptr<broker::Subscriber> subscriber;
        broker::Delivery delivery;
    };

    struct Batch {
        std::vector<Item> items;
        std::vector<std::pair<std::string, broker::MessagePtr>> retained;
    };

    struct RestoredRow {
        broker::MessagePtr message;
        broker::StoredRowPtr row;
    };

    void collect(std::string_view topic, mqtt::Qos qos, std::string_view client_id);
    [[nodiscard]] std::size_t room_bytes(const mqtt::Publish& publish, bool sets_retained) const;
    void deliver(const mqtt::Publish& publish, bool sets_retained);
    void retain(const broker::MessagePtr& message);
    bool offer(
        broker::Subscriber& subscriber,
        const broker::MessagePtr& message,
        broker::Delivery delivery,
        broker::StoredRowPtr& row
    );
    bool store(
        const broker::Subscriber& subscriber,
        broker::Delivery& delivery,
        broker::StoredRowPtr& row
    );
    [[nodiscard]] broker::MessagePtr counted(broker::MessagePtr message);
    Batch& open_batch();
    void forget_rows();
    void dropped(const broker::Subscriber& subscriber);
    [[nodiscard]] broker::Outgoing::Limits queue_limits() const;

    const Options* options_;
    Events* events_;
    ListenerStats* stats_;
    std::size_t message_bytes_ = 0;  // of all messages in memory; before what holds them
    broker::SubscriptionTree tree_;
    broker::StoredRows rows_;
    broker::RetainedStore retained_;
    std::map<std::uint64_t, RestoredRow> restored_;
    std::deque<Batch> batches_;  // in the order of their tokens
    std::vector<const broker::SubscriptionTree::Entry*> matched_;
    std::vector<Target> targets_;
    std::size_t targets_used_ = 0;
    std::vector<std::weak_ptr<broker::Subscriber>> marked_;
    std::uint64_t match_ = 0;
    Timestamp now_{};
    bool has_open_batch_ = false;
    bool wants_commit_ = false;
};

}  // namespace milepost::listener
