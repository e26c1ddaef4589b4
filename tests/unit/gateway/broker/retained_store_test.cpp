// Holds MQTT-3.3.1-5 to -8, 3.3.1-9 (retain handling: front_door/subscribe_test).
#include "gateway/broker/retained_store.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <utility>

namespace milepost::broker {
namespace {

constexpr Timestamp t0{1'000'000};

MessagePtr message(
    const std::string& topic,
    const std::string& payload,
    std::optional<std::uint32_t> expiry_s = std::nullopt
) {
    Message made;
    made.topic = topic;
    made.payload = {as_bytes(payload).begin(), as_bytes(payload).end()};
    made.received = t0;
    made.expiry_s = expiry_s;
    return std::make_shared<Message>(std::move(made));
}

void keep(RetainedStore& store, const MessagePtr& what) {
    store.settle(what->topic, store.set(what));
}

std::string found(const RetainedStore& store, const std::string& filter, Timestamp now = t0) {
    std::string all;
    std::string after;
    while (true) {
        const auto next = store.next(filter, after, now, 2);
        if (next.is_done) return all;
        if (next.message) all += std::string{as_text(next.message->payload)} + ' ';
    }
}

TEST_CASE("retained store: filters find what they match, in the order of topics", "[broker]") {
    RetainedStore store{{}};
    for (const std::string topic : {"a", "a/b", "a/b/c", "ab", "b/b", "$x/b"}) {
        keep(store, message(topic, topic));
    }
    CHECK(found(store, "a/b") == "a/b ");
    CHECK(found(store, "a/#") == "a a/b a/b/c ");
    CHECK(found(store, "+/b") == "a/b b/b ");
    CHECK(found(store, "#") == "a a/b a/b/c ab b/b ");
    CHECK(found(store, "$x/#") == "$x/b ");
    CHECK(found(store, "nothing/#").empty());
}

TEST_CASE(
    "retained store: a value is seen when it is durable, and the last one counts",
    "[broker]"
) {
    RetainedStore store{{}};
    const auto first = store.set(message("a", "1"));
    CHECK(found(store, "a").empty());
    const auto second = store.set(message("a", "2"));
    store.settle("a", first);
    CHECK(found(store, "a") == "1 ");
    store.settle("a", second);
    CHECK(found(store, "a") == "2 ");
    const auto none = store.set(message("a", ""));
    CHECK_FALSE(none);
    CHECK(found(store, "a") == "2 ");
    store.settle("a", none);
    CHECK(found(store, "a").empty());
    CHECK_FALSE(store.has("a"));
    CHECK((store.size() == 0 && store.bytes() == 0));
}

TEST_CASE("retained store: above its limits a topic has no value, and no stale one", "[broker]") {
    const std::size_t bytes = message("a", "1")->bytes();
    RetainedStore store{{.messages_max = 2, .bytes_max = 2 * bytes}};
    keep(store, message("a", "1"));
    keep(store, message("b", "1"));
    keep(store, message("c", "1"));
    CHECK(found(store, "#") == "1 1 ");
    keep(store, message("a", "longer"));
    CHECK(found(store, "#") == "1 ");
    CHECK(store.size() == 1);
}

TEST_CASE("retained store: what has expired is not found, and forgotten", "[broker]") {
    RetainedStore store{{}};
    keep(store, message("a", "1", 10));
    keep(store, message("b", "2"));
    CHECK(found(store, "#", t0 + 9'999) == "1 2 ");
    CHECK(found(store, "#", t0 + 10'000) == "2 ");
    CHECK(store.take_expired(t0 + 9'999).empty());
    CHECK(store.take_expired(t0 + 10'000) == std::vector<std::string>{"a"});
    CHECK(store.size() == 1);
}

}  // namespace
}  // namespace milepost::broker
