#include "gateway/broker/outgoing.hpp"

#include "storage/base/check.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace milepost::broker {

namespace {

mqtt::PacketId after(mqtt::PacketId packet_id) {
    return packet_id == 0xFFFF ? mqtt::PacketId{1} : static_cast<mqtt::PacketId>(packet_id + 1);
}

}  // namespace

// Ids are given in a circle, so all that are in use lie between the oldest and the last one.
std::optional<mqtt::PacketId> Outgoing::reserve(mqtt::Qos qos, std::size_t bytes) {
    if (size() >= limits_.messages_max || bytes_ + bytes > limits_.bytes_max) return std::nullopt;
    const bool has_id = qos != mqtt::Qos::at_most_once;
    const mqtt::PacketId id = after(last_id_);
    if (has_id && id == oldest_id()) return std::nullopt;
    bytes_ += bytes;
    ++reserved_;
    if (!has_id) return mqtt::PacketId{0};
    ++reserved_ids_;
    last_id_ = id;
    return id;
}

// 0: none is in use. Where all that have one are only reserved yet, there are too few of them to go
// round the circle.
mqtt::PacketId Outgoing::oldest_id() const {
    if (!in_flight_.empty()) return in_flight_.front().packet_id;
    const auto first = std::find_if(waiting_.begin(), waiting_.end(), [](const Delivery& delivery) {
        return delivery.packet_id != 0;
    });
    return first == waiting_.end() ? mqtt::PacketId{0} : first->packet_id;
}

void Outgoing::put(Delivery delivery) {
    MILEPOST_CHECK(reserved_ > 0);
    --reserved_;
    if (delivery.packet_id != 0) --reserved_ids_;
    waiting_.push_back(std::move(delivery));
}

void Outgoing::cancel(mqtt::Qos qos, std::size_t bytes) {
    MILEPOST_CHECK(reserved_ > 0);
    --reserved_;
    if (qos != mqtt::Qos::at_most_once) --reserved_ids_;
    bytes_ -= bytes;
}

void Outgoing::restore(Delivery delivery) {
    bytes_ += delivery.message->bytes();
    last_id_ = delivery.packet_id;
    delivery.dup = true;
    waiting_.push_back(std::move(delivery));
}

const Delivery* Outgoing::next(std::size_t window) const {
    if (waiting_.empty()) return nullptr;
    const Delivery& first = waiting_.front();
    return first.packet_id == 0 || in_flight_.size() < window ? &first : nullptr;
}

void Outgoing::sent() {
    Delivery first = std::move(waiting_.front());
    waiting_.pop_front();
    if (first.packet_id == 0) return forget(first);
    in_flight_.push_back(std::move(first));
}

Delivery Outgoing::drop_next() {
    Delivery first = std::move(waiting_.front());
    waiting_.pop_front();
    forget(first);
    return first;
}

void Outgoing::forget(const Delivery& delivery) {
    bytes_ -= delivery.message->bytes();
}

Delivery* Outgoing::find(mqtt::PacketId packet_id) {
    const auto found = std::find_if(
        in_flight_.begin(),
        in_flight_.end(),
        [&](const Delivery& delivery) { return delivery.packet_id == packet_id; }
    );
    return found == in_flight_.end() ? nullptr : &*found;
}

void Outgoing::finish(const Delivery* delivery) {
    forget(*delivery);
    const auto at = std::find_if(in_flight_.begin(), in_flight_.end(), [&](const Delivery& other) {
        return &other == delivery;
    });
    in_flight_.erase(at);
}

Outgoing::Acked Outgoing::puback(mqtt::PacketId packet_id) {
    const Delivery* delivery = find(packet_id);
    if (delivery == nullptr || delivery->qos != mqtt::Qos::at_least_once) return Acked::unknown;
    finish(delivery);
    return Acked::done;
}

Outgoing::Acked Outgoing::pubrec(mqtt::PacketId packet_id, bool is_refusal) {
    Delivery* delivery = find(packet_id);
    if (delivery == nullptr || delivery->qos != mqtt::Qos::exactly_once) return Acked::unknown;
    if (delivery->state == Delivery::State::released) return Acked::release_again;
    if (delivery->state == Delivery::State::received) return Acked::waits;
    if (is_refusal) {
        finish(delivery);
        return Acked::done;
    }
    delivery->state = Delivery::State::received;
    return Acked::received;
}

bool Outgoing::released(mqtt::PacketId packet_id) {
    Delivery* delivery = find(packet_id);
    const bool is_in_flight = delivery != nullptr;
    if (!is_in_flight) {
        const auto found = std::find_if(waiting_.begin(), waiting_.end(), [&](const Delivery& one) {
            return one.packet_id == packet_id;
        });
        if (found != waiting_.end()) delivery = &*found;
    }
    if (delivery == nullptr || delivery->state != Delivery::State::received) return false;
    delivery->state = Delivery::State::released;
    return is_in_flight;
}

Outgoing::Acked Outgoing::pubcomp(mqtt::PacketId packet_id) {
    const Delivery* delivery = find(packet_id);
    if (delivery == nullptr || delivery->state != Delivery::State::released) return Acked::unknown;
    finish(delivery);
    return Acked::done;
}

void Outgoing::interrupt() {
    for (Delivery& delivery : in_flight_) {
        delivery.dup = true;
    }
    waiting_.insert(
        waiting_.begin(),
        std::make_move_iterator(in_flight_.begin()),
        std::make_move_iterator(in_flight_.end())
    );
    in_flight_.clear();
    std::erase_if(waiting_, [this](const Delivery& delivery) {
        if (delivery.packet_id != 0) return false;
        forget(delivery);
        return true;
    });
}

}  // namespace milepost::broker
