#include "gateway/tool/flags.hpp"

#include <catch2/catch.hpp>

#include <initializer_list>
#include <vector>

using namespace milepost;
using namespace milepost::tool;

namespace {

std::variant<Command, int> parse(std::initializer_list<const char*> arguments) {
    std::vector<const char*> argv{"milepost"};
    argv.insert(argv.end(), arguments);
    return parse_flags(static_cast<int>(argv.size()), argv.data());
}

template <class Options>
Options get(std::initializer_list<const char*> arguments) {
    return std::get<Options>(std::get<Command>(parse(arguments)));
}

}  // namespace

TEST_CASE("flags: consume follows from the end by default", "[flags]") {
    const auto options = get<ConsumeOptions>({"consume"});
    CHECK(options.from == OffsetChoice{End{}});
    CHECK(options.topics.empty());
    CHECK_FALSE(options.partition);
    CHECK_FALSE(options.messages_max);
    CHECK_FALSE(options.exits_at_end);
    CHECK(options.source.url == "http://127.0.0.1:8080");
}

TEST_CASE("flags: consume takes what interfaces.md names", "[flags]") {
    const auto options = get<ConsumeOptions>(
        {"consume",
         "-t",
         "a",
         "-t",
         "b",
         "-p",
         "2",
         "-o",
         "-5",
         "-o",
         "e@9",
         "-c",
         "3",
         "-e",
         "-f",
         "%s",
         "--json",
         "--url",
         "http://h:1"}
    );
    CHECK(options.topics == std::vector<std::string>{"a", "b"});
    CHECK(options.partition == std::optional{2});
    CHECK(options.from == OffsetChoice{BeforeEnd{5}});
    CHECK(options.until == std::optional{Timestamp{9}});
    CHECK(options.messages_max == std::optional<std::uint64_t>{3});
    CHECK(options.exits_at_end);
    CHECK(options.json);
    CHECK(options.source.url == "http://h:1");
    CHECK(get<ConsumeOptions>({"consume", "--from-beginning"}).from == OffsetChoice{Beginning{}});
    CHECK(
        get<ConsumeOptions>({"consume", "--max-messages", "7"}).messages_max ==
        std::optional<std::uint64_t>{7}
    );
}

TEST_CASE("flags: reconcile takes ledgers, brokers, properties and a time", "[flags]") {
    const auto options = get<ReconcileOptions>(
        {"reconcile",
         "--ledger",
         "a",
         "--ledger",
         "b",
         "c",
         "-b",
         "k:9092",
         "-X",
         "x=y=z",
         "--wait",
         "2min"}
    );
    CHECK(options.ledgers == std::vector<std::string>{"a", "b", "c"});
    CHECK(options.brokers == "k:9092");
    using Property = std::pair<std::string, std::string>;
    CHECK(options.properties == std::vector<Property>{{"x", "y=z"}});
    CHECK(options.wait == std::chrono::minutes{2});
    CHECK(get<ReconcileOptions>({"reconcile", "--ledger", "a"}).wait == std::chrono::seconds{60});
}

TEST_CASE("flags: verify, repair and status", "[flags]") {
    CHECK(get<VerifyOptions>({"verify", "d", "--deep"}).deep);
    CHECK(get<VerifyOptions>({"verify", "d"}).data_dir == "d");
    CHECK_FALSE(get<AdoptOptions>({"adopt", "d"}).from_start);
    CHECK(get<AdoptOptions>({"adopt", "d", "--from-start"}).from_start);
    CHECK_FALSE(get<RepairOptions>({"repair", "d"}).yes);
    CHECK(get<RepairOptions>({"repair", "d", "--yes"}).yes);
    CHECK(get<PasswdOptions>({"passwd", "f", "u"}).user == "u");
    CHECK(get<PasswdOptions>({"passwd", "--cost", "10", "f", "u", "--disable"}).log2_n == 10);
    CHECK(get<StatusOptions>({"status", "--account", "--json"}).account);
    CHECK(get<StatusOptions>({"status", "--data-dir", "d"}).source.data_dir == "d");
}

TEST_CASE("flags: whatever is wrong is exit code 64", "[flags]") {
    const std::vector<std::vector<const char*>> wrong{
        {"milepost"},
        {"milepost", "nothing"},
        {"milepost", "passwd", "f"},
        {"milepost", "passwd", "f", "u", "--cost", "17"},
        {"milepost", "passwd", "f", "u", "--delete", "--disable"},
        {"milepost", "consume", "-o", "x"},
        {"milepost", "consume", "-o", "1", "-o", "2"},
        {"milepost", "consume", "--from-beginning", "-o", "end"},
        {"milepost", "consume", "-f", "%q"},
        {"milepost", "consume", "-c", "0"},
        {"milepost", "consume", "--url", "http://a", "--data-dir", "d"},
        {"milepost", "verify"},
        {"milepost", "repair", "--yes"},
        {"milepost", "reconcile"},
        {"milepost", "reconcile", "--ledger", "a", "-X", "nothing"},
        {"milepost", "reconcile", "--ledger", "a", "--wait", "soon"},
    };
    for (const auto& argv : wrong) {
        const auto parsed = parse_flags(static_cast<int>(argv.size()), argv.data());
        CAPTURE(argv);
        CHECK(parsed.index() == 1);
        if (parsed.index() == 1) CHECK(std::get<int>(parsed) == 64);
    }
}
