#include "gateway/listener/deliveries.hpp"

#include "gateway/mqtt/topic_filter.hpp"

#include <algorithm>

namespace milepost::listener {

namespace {

using broker::Delivery;
using broker::MessagePtr;
using broker::StoredRowPtr;
using broker::Subscriber;
using mqtt::Qos;
using mqtt::ReasonCode;

// Retained topics that one step looks at, and messages that wait before it goes on.
constexpr std::size_t retained_looks_max = 1'000;
constexpr std::size_t retained_ahead_max = 32;

bool is_system(std::string_view filter) {
    return filter == "$SYS" || filter.starts_with("$SYS/");
}

}  // namespace

// What a SUBSCRIBE is told ------------------------------------------------------------------------

broker::Outgoing::Limits Deliveries::queue_limits() const {
    return {options_->queue_messages_max, options_->queue_bytes_max};
}

Subscriber& Deliveries::subscriber_of(SessionTable::Entry& entry) {
    auto& subscriber = entry.second.subscriber;
    if (!subscriber) {
        subscriber = std::make_shared<Subscriber>(tree_, entry.first, queue_limits());
        subscriber->is_kept = entry.second.is_kept;
    }
    return *subscriber;
}

ReasonCode Deliveries::judge(
    const SessionTable::Entry& entry,
    const mqtt::Subscription& wanted,
    std::size_t added
) {
    const std::string_view filter = wanted.filter;
    if (mqtt::is_shared(filter)) return ReasonCode::shared_subscriptions_not_supported;
    const auto slashes = static_cast<std::size_t>(std::count(filter.begin(), filter.end(), '/'));
    if (is_system(filter) || filter.size() > options_->filter_bytes_max ||
        slashes >= options_->filter_levels_max) {
        return ReasonCode::topic_filter_invalid;
    }
    const Subscriber* known = entry.second.subscriber.get();
    const std::size_t has = known == nullptr ? 0 : known->subscriptions();
    const bool is_known = known != nullptr && known->has(filter);
    const std::size_t bytes = tree_.bytes() + broker::SubscriptionTree::cost_bytes(filter);
    const bool is_full = has + added >= options_->subscriptions_max ||
                         bytes > options_->subscription_bytes_max;
    if (!is_known && is_full) {
        stats_->refused_subscriptions.add();
        events_->on_notice(
            "subscriptions_max",
            '"' + entry.first +
                "\" has as many subscriptions as it may, or all of them take too much"
        );
        return ReasonCode::quota_exceeded;
    }
    return static_cast<ReasonCode>(wanted.qos);
}

void Deliveries::note_subscriptions() {
    stats_->subscriptions.set(static_cast<std::int64_t>(tree_.size()));
}

// What was matched, until it is durable -----------------------------------------------------------

Deliveries::Batch& Deliveries::open_batch() {
    if (!has_open_batch_) batches_.emplace_back();
    has_open_batch_ = true;
    return batches_.back();
}

void Deliveries::close_batch() {
    forget_rows();
    if (!std::exchange(has_open_batch_, false)) return;
    AckToken token;
    token.connection = deliveries_connection;
    events_->on_ride(token);
}

void Deliveries::durable() {
    Batch batch = std::move(batches_.front());
    batches_.pop_front();
    for (const auto& [topic, value] : batch.retained) {
        retained_.settle(topic, value);
    }
    for (Item& item : batch.items) {
        const auto subscriber = item.subscriber.lock();
        if (!subscriber) continue;
        // Its device left meanwhile; QoS 0 does not wait for it.
        if (item.delivery.packet_id == 0 && subscriber->connection == no_connection) {
            subscriber->outgoing.cancel(Qos::at_most_once, item.delivery.message->bytes());
            continue;
        }
        subscriber->outgoing.put(std::move(item.delivery));
        mark(*subscriber);
    }
}

void Deliveries::mark(Subscriber& subscriber) {
    if (std::exchange(subscriber.is_to_be_pumped, true)) return;
    marked_.push_back(subscriber.weak_from_this());
}

// A message into a queue --------------------------------------------------------------------------

// One message is in memory once, however many queues it is in.
MessagePtr Deliveries::counted(MessagePtr message) {
    const std::size_t bytes = message->bytes();
    message_bytes_ += bytes;
    const broker::Message* plain = message.get();
    return {plain, [this, bytes, held = std::move(message)](const broker::Message*) mutable {
                held.reset();
                message_bytes_ -= bytes;
            }};
}

void Deliveries::dropped(const Subscriber& subscriber) {
    stats_->dropped_deliveries.add();
    events_->on_notice(
        "queue_full",
        "messages dropped: the queue of \"" + subscriber.client_id() + "\" is full"
    );
}

// False: it was dropped.
bool Deliveries::offer(
    Subscriber& subscriber,
    const MessagePtr& message,
    Delivery delivery,
    StoredRowPtr& row
) {
    const bool has_memory = message_bytes_ <= options_->message_bytes_max;
    const auto id = has_memory ? subscriber.outgoing.reserve(delivery.qos, message->bytes())
                               : std::nullopt;
    if (!id) {
        dropped(subscriber);
        return false;
    }
    delivery.message = message;
    delivery.packet_id = *id;
    if (*id != 0 && subscriber.is_kept && !store(subscriber, delivery, row)) {
        subscriber.outgoing.cancel(delivery.qos, message->bytes());
        dropped(subscriber);
        return false;
    }
    open_batch().items.push_back({subscriber.weak_from_this(), std::move(delivery)});
    return true;
}

bool Deliveries::store(const Subscriber& subscriber, Delivery& delivery, StoredRowPtr& row) {
    if (!row) {
        auto made = rows_.make();
        const std::string key = broker::key_of_row(made->number());
        const SessionChange whole{key, broker::encode_message(*delivery.message), false};
        if (!events_->on_session(whole, std::nullopt)) return false;
        row = std::move(made);
    }
    StoredDelivery stored;
    stored.row = row->number();
    stored.identifiers = delivery.identifiers;
    stored.packet_id = delivery.packet_id;
    stored.qos = delivery.qos;
    stored.retain = delivery.retain;
    delivery.row = row;
    return events_->on_change(subscriber.client_id(), queued_change(stored), std::nullopt);
}

void Deliveries::forget_rows() {
    if (!rows_.has_unused()) return;
    bool goes_on = true;
    for (const std::uint64_t number : rows_.take_unused()) {
        const std::string key = broker::key_of_row(number);
        goes_on = goes_on && events_->on_session({key, {}, false}, std::nullopt);
        if (!goes_on) rows_.give_back(number);
    }
}

// Retained messages -------------------------------------------------------------------------------

void Deliveries::retain(const MessagePtr& message) {
    const MessagePtr value = retained_.set(message);
    if (!value && !message->payload.empty()) {
        stats_->dropped_retained.add();
        events_->on_notice(
            "retained_full",
            "retained messages are not kept: there is no room for more"
        );
    }
    const std::string key = broker::key_of_retained(message->topic);
    const Buffer bytes = value ? broker::encode_message(*value) : Buffer{};
    if (!events_->on_session({key, bytes, false}, std::nullopt)) stats_->dropped_retained.add();
    open_batch().retained.emplace_back(message->topic, value);
    stats_->retained_messages.set(static_cast<std::int64_t>(retained_.size()));
}

bool Deliveries::scan_retained(Subscriber& subscriber) {
    const auto& outgoing = subscriber.outgoing;
    while (!subscriber.scans.empty() && outgoing.size() - outgoing.in_flight() < retained_ahead_max
    ) {
        broker::RetainedScan& scan = subscriber.scans.front();
        auto found = retained_.next(scan.filter, scan.after, now_, retained_looks_max);
        if (found.is_done) {
            subscriber.scans.pop_front();
            continue;
        }
        if (!found.message) return true;
        Delivery delivery;
        delivery.qos = std::min(found.message->qos, scan.options.qos);
        delivery.retain = true;
        if (scan.options.identifier != 0) delivery.identifiers = {scan.options.identifier};
        StoredRowPtr row;
        static_cast<void>(offer(subscriber, found.message, std::move(delivery), row));
        wants_commit_ = true;
    }
    return false;
}

void Deliveries::forget_expired() {
    for (const std::string& topic : retained_.take_expired(now_)) {
        const std::string key = broker::key_of_retained(topic);
        static_cast<void>(events_->on_session({key, {}, false}, std::nullopt));
    }
    stats_->retained_messages.set(static_cast<std::int64_t>(retained_.size()));
}

}  // namespace milepost::listener
