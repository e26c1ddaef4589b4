#include "gateway/listener/subscriber_state.hpp"

#include "gateway/broker/message.hpp"
#include "gateway/listener/session_state.hpp"

#include <catch2/catch.hpp>

#include <vector>

namespace milepost::listener {
namespace {

Buffer header() {
    const auto change = SessionChangeBytes::header(300, Timestamp{7});
    return {change.bytes().begin(), change.bytes().end()};
}

StoredDelivery delivery(mqtt::PacketId id, std::uint64_t row) {
    StoredDelivery made;
    made.packet_id = id;
    made.row = row;
    made.qos = mqtt::Qos::exactly_once;
    made.identifiers = {1, 300};
    made.retain = true;
    return made;
}

TEST_CASE("subscriber state: what was subscribed and queued comes back", "[listener]") {
    const std::vector<Buffer> changes = {
        subscribed_change("a/#", {.identifier = 9, .qos = mqtt::Qos::at_least_once}),
        subscribed_change("b", {.no_local = true, .retain_as_published = true}),
        subscribed_change("c", {}),
        unsubscribed_change("c"),
        queued_change(delivery(1, 11)),
        queued_change(delivery(2, 12)),
        queued_change(delivery(3, 13)),
        delivered_change(2),
        done_change(1)};
    Buffer state = header();
    for (const Buffer& change : changes)
        append_bytes(state, change);
    const auto whole = decode_session_state(state);
    REQUIRE(whole);
    const SubscriberState& got = whole->subscriber;
    CHECK(got.subscriptions.size() == 2);
    CHECK(got.subscriptions.at("a/#").identifier == 9);
    CHECK(got.subscriptions.at("b").no_local);
    REQUIRE(got.queue.size() == 2);
    auto second = delivery(2, 12);
    second.is_received = true;
    CHECK(got.queue[0] == second);
    CHECK(got.queue[1] == delivery(3, 13));

    // Folded, in one piece and in several, and folded again: the same.
    Buffer folded = header();
    for (int round = 0; round < 2; ++round) {
        for (const Buffer& change : changes) {
            const Bytes bytes = change;
            folded = merge_session_states(folded, {&bytes, 1});
        }
        CHECK(decode_session_state(folded)->subscriber == got);
    }
}

TEST_CASE("subscriber state: torn changes make no state", "[listener]") {
    Buffer state = header();
    append_bytes(state, subscribed_change("abc", {}));
    append_bytes(state, queued_change(delivery(1, 11)));
    for (std::size_t cut = header().size() + 1; cut < state.size(); ++cut) {
        if (cut == header().size() + subscribed_change("abc", {}).size()) continue;
        CHECK_FALSE(decode_session_state(Bytes{state}.first(cut)));
    }
}

TEST_CASE("subscriber state: of a message beside the sessions the last one stays", "[listener]") {
    broker::Message message;
    message.topic = "t";
    const Buffer first = broker::encode_message(message);
    message.retain = true;
    const Buffer second = broker::encode_message(message);
    const std::vector<Bytes> changes = {first, second};
    CHECK(merge_session_states(first, changes) == second);
}

}  // namespace
}  // namespace milepost::listener
