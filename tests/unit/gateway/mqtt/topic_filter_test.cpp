// Holds MQTT-4.7.0-1, 4.7.1-1, -2, 4.7.2-1, 4.7.3-1, -2, -4, 4.8.2-1, -2 (3.1.1: MQTT-4.7.1-1, -2,
// -3, 4.7.2-1, 4.7.3-1, -2, -4) and MQTT-3.3.2-2.
#include "gateway/mqtt/topic_filter.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace milepost::mqtt {
namespace {

using namespace std::string_literals;

struct Match {
    const char* filter;
    const char* topic;
    bool matches;
};

TEST_CASE("topic filter: what matches what", "[mqtt]") {
    const std::vector<Match> table = {
        {"a/b", "a/b", true},
        {"a/b", "a/B", false},
        {"a/b", "a/b/c", false},
        {"a/b/c", "a/b", false},
        {"#", "a", true},
        {"#", "/", true},
        {"#", "a/b/c", true},
        {"a/#", "a", true},
        {"a/#", "a/", true},
        {"a/#", "a/b/c", true},
        {"a/#", "ab", false},
        {"a/b/#", "a", false},
        {"+", "a", true},
        {"+", "/a", false},
        {"/+", "/a", true},
        {"+/+", "/a", true},
        {"+/+", "a", false},
        {"a/+", "a", false},
        {"a/+", "a/", true},
        {"a/+", "a/b", true},
        {"a/+", "a/b/c", false},
        {"a/+/c", "a/b/c", true},
        {"a/+/c", "a//c", true},
        {"a/+/#", "a", false},
        {"a/+/#", "a/b", true},
        {"+/b/#", "a/b/c/d", true},
        {"#", "$SYS/load", false},
        {"+/load", "$SYS/load", false},
        {"$SYS/#", "$SYS/load", true},
        {"$SYS/+", "$SYS/load", true},
        {"a/#", "a/$SYS", true},
        {"a/", "a", false},
        {"a", "a/", false},
        {"vehicles/+/telemetry", "vehicles/V0001/telemetry", true},
        {"\xC3\x85", "A\xCC\x8A", false},  // no normalisation
    };
    for (const Match& row : table) {
        INFO(row.filter << " against " << row.topic);
        CHECK(matches(row.filter, row.topic) == row.matches);
    }
}

TEST_CASE("topic filter: a wildcard stands for a whole level, # for the last ones", "[mqtt]") {
    for (const char* filter : {"#", "+", "a/#", "+/#", "/", "//", "a/+/b", "/+", "a b", "$SYS/#"}) {
        INFO(filter);
        CHECK(is_topic_filter(filter));
    }
    for (const char* filter : {"", "a#", "a/b#", "#/a", "a/#/b", "a+", "+a/b", "a/b+/c", "\xFF"}) {
        INFO(filter);
        CHECK_FALSE(is_topic_filter(filter));
    }
    CHECK_FALSE(is_topic_filter("a\0b"s));
}

TEST_CASE("topic filter: a shared one has a group and a filter", "[mqtt]") {
    CHECK(is_shared("$share/group/a"));
    CHECK_FALSE(is_shared("$shared/group/a"));
    CHECK(is_shared_topic_filter("$share/group/a/+/#"));
    for (const char* filter :
         {"$share/",
          "$share//a",
          "$share/g",
          "$share/g/",
          "$share/g+/a",
          "$share/#/a",
          "a",
          "$share/g/a#"}) {
        INFO(filter);
        CHECK_FALSE(is_shared_topic_filter(filter));
    }
}

TEST_CASE("topic name: a wildcard, U+0000 or bad UTF-8 is found at any place", "[mqtt]") {
    CHECK_FALSE(is_topic_name(""));
    CHECK(is_topic_name("/"));
    CHECK(is_topic_name("vehicles/\xC3\xA4/telemetry of a long name"));
    for (std::size_t length = 1; length < 40; ++length) {
        std::string topic(length, 'a');
        CHECK(is_topic_name(topic));
        for (std::size_t at = 0; at < length; ++at) {
            std::string other = topic;
            for (const char allowed : {'*', '"', ',', '$', '!', '\x7F', '\x01'}) {
                other[at] = allowed;
                CHECK(is_topic_name(other));
            }
            for (const char refused : {'+', '#', '\0', '\x80'}) {
                other[at] = refused;
                CHECK_FALSE(is_topic_name(other));
            }
        }
    }
}

}  // namespace
}  // namespace milepost::mqtt
