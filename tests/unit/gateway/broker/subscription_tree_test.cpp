// Holds MQTT-4.7.1-1 to -3, 4.7.2-1, 3.8.4-3.
#include "gateway/broker/subscription_tree.hpp"

#include "gateway/broker/subscriber.hpp"
#include "gateway/mqtt/topic_filter.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <vector>

namespace milepost::broker {
namespace {

std::size_t matches(const SubscriptionTree& tree, std::string_view topic) {
    std::vector<const SubscriptionTree::Entry*> found;
    tree.match(topic, found);
    return found.size();
}

// Every filter and topic of up to three levels out of a few: the tree agrees with matches().
TEST_CASE("subscription tree: matches what mqtt::matches() matches", "[broker]") {
    const std::vector<std::string> names = {"", "a", "b", "$x"};
    std::vector<std::string> levels = names;
    levels.insert(levels.end(), {"+", "#"});
    const auto all = [](const std::vector<std::string>& words) {
        std::vector<std::string> texts;
        for (const auto& one : words) {
            texts.push_back(one);
            for (const auto& two : words) {
                texts.push_back(one + '/' + two);
                for (const auto& three : words) {
                    texts.push_back(one + '/' + two + '/' + three);
                }
            }
        }
        return texts;
    };
    for (const std::string& filter : all(levels)) {
        if (!mqtt::is_topic_filter(filter)) continue;
        SubscriptionTree tree;
        Subscriber subscriber{tree, "s", {}};
        subscriber.subscribe(filter, {});
        for (const std::string& topic : all(names)) {
            if (topic.empty()) continue;
            INFO(filter << " and " << topic);
            CHECK((matches(tree, topic) == 1) == mqtt::matches(filter, topic));
        }
    }
}

TEST_CASE("subscription tree: is empty again, whatever was in it", "[broker]") {
    SubscriptionTree tree;
    {
        Subscriber first{tree, "1", {}};
        Subscriber second{tree, "2", {}};
        CHECK(first.subscribe("a/+/c", {}));
        CHECK_FALSE(first.subscribe("a/+/c", {.qos = mqtt::Qos::exactly_once}));
        CHECK(second.subscribe("a/#", {}));
        CHECK(tree.size() == 2);
        CHECK(matches(tree, "a/b/c") == 2);
        CHECK(first.unsubscribe("a/+/c"));
        CHECK_FALSE(first.unsubscribe("a/+/c"));
        CHECK(matches(tree, "a/b/c") == 1);
        first.subscribe("x/y", {});
    }
    CHECK(tree.empty());
    CHECK(tree.bytes() == 0);
    CHECK(matches(tree, "a/b/c") == 0);
}

TEST_CASE("subscription tree: a thousand other subscriptions are not looked at", "[broker]") {
    SubscriptionTree tree;
    std::vector<std::unique_ptr<Subscriber>> subscribers;
    for (int i = 0; i < 1'000; ++i) {
        const std::string id = std::to_string(i);
        subscribers.push_back(std::make_unique<Subscriber>(tree, id, Outgoing::Limits{}));
        subscribers.back()->subscribe("vehicles/" + id + "/cmd/#", {});
    }
    CHECK(matches(tree, "vehicles/77/cmd/lights") == 1);
    CHECK(matches(tree, "vehicles/1000/cmd/lights") == 0);
}

}  // namespace
}  // namespace milepost::broker
