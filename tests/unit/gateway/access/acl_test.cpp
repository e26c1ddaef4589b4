#include "gateway/access/acl.hpp"

#include <catch2/catch.hpp>

#include <string>

namespace milepost::access {

namespace {

Acl acl_of(std::string_view text) {
    auto parsed = Acl::parse(text);
    INFO(text);
    REQUIRE(std::holds_alternative<Acl>(parsed));
    return std::get<Acl>(std::move(parsed));
}

std::vector<FileProblem> problems_of(std::string_view text) {
    auto parsed = Acl::parse(text);
    if (auto* problems = std::get_if<std::vector<FileProblem>>(&parsed)) return *problems;
    return {};
}

const Identity v1{"V1", "fleet"};
const Identity depot{"anything", "depot"};
const Identity nobody{"V1", ""};

}  // namespace

TEST_CASE("acl: what no rule allows is refused", "[access]") {
    const Acl nothing = acl_of("");
    CHECK_FALSE(nothing.may_publish(v1, "a"));
    CHECK_FALSE(nothing.may_subscribe(v1, "a"));
    const Acl acl = acl_of("write a/#\nread b");
    CHECK(acl.may_publish(v1, "a"));
    CHECK(acl.may_publish(v1, "a/b/c"));
    CHECK_FALSE(acl.may_publish(v1, "b"));
    CHECK(acl.may_subscribe(v1, "b"));
    CHECK_FALSE(acl.may_subscribe(v1, "a"));
    CHECK_FALSE(acl.may_receive(v1, "a"));
}

TEST_CASE("acl: rules are for everybody, a user or a client", "[access]") {
    const Acl acl = acl_of(
        "# comment\n"
        "write all\n"
        "user depot\n"
        "both #\r\n"
        "client V1\n"
        "  write\tone  \n"
        "everybody\n"
        "read all\n"
    );
    CHECK(acl.may_publish(nobody, "all"));
    CHECK(acl.may_subscribe(nobody, "all"));
    CHECK(acl.may_publish(v1, "one"));
    CHECK_FALSE(acl.may_publish(depot, "$SYS/x"));
    CHECK(acl.may_publish(depot, "one"));
    CHECK(acl.may_subscribe(depot, "+/+/x"));
    CHECK_FALSE(acl.may_publish(v1, "two"));
    CHECK_FALSE(acl.may_publish({"V2", "fleet"}, "one"));
    CHECK_FALSE(acl.may_publish({"depot", ""}, "one"));
}

TEST_CASE("acl: deny goes before allow, wherever it stands", "[access]") {
    const Acl acl = acl_of("user depot\nboth #\neverybody\ndeny both secret/#\ndeny write old");
    CHECK_FALSE(acl.may_publish(depot, "secret/a"));
    CHECK_FALSE(acl.may_publish(depot, "secret"));
    CHECK(acl.may_publish(depot, "secrets"));
    CHECK_FALSE(acl.may_publish(depot, "old"));
    CHECK(acl.may_receive(depot, "old"));
    // A subscription that could bring what is denied is refused as a whole.
    CHECK_FALSE(acl.may_subscribe(depot, "#"));
    CHECK_FALSE(acl.may_subscribe(depot, "+/a"));
    CHECK_FALSE(acl.may_subscribe(depot, "secret/+"));
    CHECK(acl.may_subscribe(depot, "open/#"));
    CHECK(acl.may_subscribe(depot, "old"));
}

TEST_CASE("acl: %c and %u stand for whole levels", "[access]") {
    const Acl acl = acl_of("write vehicles/%c/#\nread users/%u/cmd\nboth %u/x");
    CHECK(acl.may_publish(v1, "vehicles/V1/telemetry"));
    CHECK(acl.may_publish(v1, "vehicles/V1"));
    CHECK_FALSE(acl.may_publish(v1, "vehicles/V2/telemetry"));
    CHECK_FALSE(acl.may_publish(v1, "vehicles/%c/telemetry"));
    CHECK(acl.may_subscribe(v1, "users/fleet/cmd"));
    CHECK_FALSE(acl.may_subscribe(v1, "users/+/cmd"));
    CHECK_FALSE(acl.may_subscribe(v1, "users/fleet/#"));
    CHECK_FALSE(acl.may_subscribe(nobody, "users//cmd"));
    CHECK_FALSE(acl.may_publish(nobody, "/x"));
    CHECK(acl.may_publish(v1, "fleet/x"));
}

TEST_CASE("acl: nobody gets rights by the choice of a name", "[access]") {
    const Acl acl = acl_of("both vehicles/%c/#\nboth %c/x\nuser u\nboth by/user\nclient u\nboth c");
    for (const std::string_view name : {"+", "#", "a/b", "V+", ""}) {
        INFO(name);
        const Identity who{name, ""};
        CHECK_FALSE(acl.may_subscribe(who, "vehicles/+/#"));
        CHECK_FALSE(acl.may_subscribe(who, "vehicles/#"));
        CHECK_FALSE(acl.may_subscribe(who, "vehicles/a/b/#"));
        CHECK_FALSE(acl.may_publish(who, "vehicles/a/b/c"));
        CHECK_FALSE(acl.may_publish(who, "vehicles//c"));
    }
    CHECK_FALSE(acl.may_subscribe({"$SYS", ""}, "$SYS/x"));
    CHECK_FALSE(acl.may_publish({"u", ""}, "by/user"));
    CHECK_FALSE(acl.may_publish({"x", "u"}, "c"));
}

TEST_CASE("acl: a subscription is granted only if a rule covers all of it", "[access]") {
    struct Case {
        std::string_view rule;
        std::string_view filter;
        bool covers;
        bool touches;
    };

    const Case cases[] = {
        {"a/b", "a/b", true, true},       {"a/+", "a/b", true, true},
        {"a/+", "a/+", true, true},       {"a/b", "a/+", false, true},
        {"a/#", "a/+/c", true, true},     {"a/#", "a", true, true},
        {"a/#", "a/#", true, true},       {"a/+", "a/#", false, true},
        {"a/+", "a", false, false},       {"#", "#", true, true},
        {"+", "#", false, true},          {"#", "$SYS/#", false, false},
        {"+/x", "$SYS/x", false, false},  {"$SYS/#", "#", false, false},
        {"$SYS/#", "$SYS/+", true, true}, {"a/b/c", "a/b", false, false},
        {"a/b", "a/b/c", false, false},   {"a/b", "a/b/#", false, true},
        {"+/b", "a/+", false, true},      {"x/+", "a/+", false, false},
        {"a/%c/#", "a/#", false, true},   {"a/%u/x", "a/#", false, false},
    };
    for (const auto& [rule, filter, covers, touches] : cases) {
        INFO(rule << " " << filter);
        CHECK(rule_covers(rule, nobody, filter) == covers);
        CHECK(rule_touches(rule, nobody, filter) == touches);
    }
}

TEST_CASE("acl: mistakes are named with their line, all at once", "[access]") {
    const auto problems = problems_of(
        "write a\n"
        "allow b\n"
        "write a/#/b\n"
        "\n"
        "user\n"
        "read a%c\n"
        "deny c\n"
        "everybody else\n"
        "write\n"
        "user \xff\n"
    );
    std::vector<std::size_t> lines;
    for (const auto& problem : problems)
        lines.push_back(problem.line);
    CHECK(lines == std::vector<std::size_t>{2, 3, 5, 6, 7, 8, 9, 10});
}

TEST_CASE("acl: what is too long is refused, and few problems are named", "[access]") {
    CHECK(problems_of(std::string(Acl::file_bytes_max + 1, '\n')).size() == 1);
    std::string many;
    for (std::size_t i = 0; i <= Acl::rules_max; ++i)
        many += "read a\n";
    CHECK(problems_of(many).size() == 1);
    std::string wrong;
    for (int i = 0; i < 1000; ++i)
        wrong += "wrong\n";
    CHECK(problems_of(wrong).size() == 20);
    CHECK(problems_of("user " + std::string(257, 'u')).size() == 1);
}

}  // namespace milepost::access
