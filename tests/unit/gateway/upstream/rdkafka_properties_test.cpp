#include "gateway/upstream/client_settings.hpp"
#include "gateway/upstream/property_rules.hpp"
#include "gateway/upstream/rdkafka_producer.hpp"
#include "gateway/upstream/waker.hpp"

#include <catch2/catch.hpp>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

using namespace milepost::upstream;

namespace {

// All that the library has, with aliases: the first column of the tables that it prints of itself.
std::vector<std::string> names_of_library() {
    char* text = nullptr;
    std::size_t size = 0;
    std::FILE* const out = open_memstream(&text, &size);
    REQUIRE(out != nullptr);
    rd_kafka_conf_properties_show(out);
    std::fclose(out);
    const std::unique_ptr<char, decltype(&std::free)> owner{text, &std::free};
    std::istringstream lines{std::string{text, size}};
    std::vector<std::string> names;
    for (std::string line; std::getline(lines, line);) {
        const auto end = line.find_first_of(" |");
        if (end == std::string::npos || line.find('|') == std::string::npos) continue;
        const auto name = line.substr(0, end);
        if (name != "Property" && !name.starts_with("--")) names.push_back(name);
    }
    return names;
}

// What it has without anybody's doing, by name.
Properties defaults_of_library() {
    rd_kafka_conf_t* const conf = rd_kafka_conf_new();
    std::size_t count = 0;
    const char** const words = rd_kafka_conf_dump(conf, &count);
    Properties all;
    for (std::size_t i = 0; i + 1 < count; i += 2)
        all.emplace_back(words[i], words[i + 1]);
    rd_kafka_conf_dump_free(words, count);
    rd_kafka_conf_destroy(conf);
    return all;
}

// Outside of what is allowed when nobody sets them; the gateway does.
const std::set<std::string> bounded = {
    "max.in.flight.requests.per.connection",
    "queue.buffering.max.kbytes",
    "message.max.bytes",
    "statistics.interval.ms",
};

}  // namespace

TEST_CASE("properties: somebody has thought about each that the library has", "[upstream]") {
    const auto names = names_of_library();
    CHECK(names.size() > 150);
    for (const auto& name : names) {
        INFO(name << " is not in property_rules.cpp: does it break a promise?");
        CHECK(rule_of(name) != nullptr);
    }
}

TEST_CASE("properties: each that is not refused passes with the library's default", "[upstream]") {
    std::size_t passed = 0;
    for (const auto& [name, value] : defaults_of_library()) {
        const auto* const rule = rule_of(name);
        if (rule == nullptr || !rule->refusal.empty() || bounded.contains(name)) continue;
        if (value.empty()) continue;  // not to be set to that
        INFO(name << " = " << value);
        const auto said = check_property(name, value).value_or("");
        CHECK((said.empty() || said.find("not supported in this build") != std::string::npos));
        ++passed;
    }
    CHECK(passed > 50);
}

TEST_CASE("properties: one that is newer than this release is refused", "[upstream]") {
    // As if it were: the library has it, but lists it nowhere.
    REQUIRE(rule_of("client.software.name") == nullptr);
    const auto reason = check_property("client.software.name", "x");
    REQUIRE(reason);
    CHECK(reason->find("this release does not know it") != std::string::npos);
}

TEST_CASE("properties: no rule is there twice, each refusal is documented", "[upstream]") {
    std::ifstream file{MILEPOST_PROPERTIES_README};
    REQUIRE(file);
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    std::istringstream lines{text};
    std::set<std::string> seen;
    for (const auto& rule : property_rules()) {
        const std::string name{rule.name};
        INFO(name);
        CHECK(seen.insert(name).second);
        if (rule.refusal.empty()) continue;
        lines.clear();
        lines.seekg(0);
        bool documented = false;
        for (std::string line; std::getline(lines, line);) {
            const auto reason = " | " + std::string{rule.refusal} + " |";
            documented = documented || (line.find("`" + name + "`") != std::string::npos &&
                                        line.ends_with(reason));
        }
        CHECK(documented);
        CHECK(check_property(name, "1") == "not accepted: " + std::string{rule.refusal});
    }
}

TEST_CASE("properties: a hang must end, and the status must know its brokers", "[upstream]") {
    CHECK(check_property("socket.max.fails", "0"));
    CHECK_FALSE(check_property("socket.max.fails", "1"));
    CHECK(check_property("statistics.interval.ms", "0"));
    CHECK_FALSE(check_property("statistics.interval.ms", "1000"));
}

TEST_CASE(
    "properties: what only a transactional producer refuses is refused before",
    "[upstream]"
) {
    const auto is_made = [](const std::string& name, const std::string& value) {
        Waker waker;
        std::string problem;
        const ProducerSettings settings{
            .client = {.bootstrap_servers = "127.0.0.1:1", .properties = {{name, value}}},
            .transactional_id = "t",
            .group_id = "g"};
        return make_rdkafka_transactional(settings, waker, problem).has_value();
    };
    const std::string name = "socket.timeout.ms";
    CHECK_FALSE(check_property(name, "60101"));
    // The last that the library takes, and the first that it does not.
    CHECK_FALSE(check_transactional_property(name, "60100"));
    CHECK(is_made(name, "60100"));
    CHECK(check_transactional_property(name, "60101"));
    CHECK_FALSE(is_made(name, "60101"));
    CHECK_FALSE(check_transactional_property("log_level", "7"));
}

TEST_CASE("properties: what would break a promise is refused with the reason", "[upstream]") {
    for (const auto& [name, value] : Properties{
             {"enable.idempotence", "false"},
             {"enable.gapless.guarantee", "false"},
             {"acks", "1"},
             {"request.required.acks", "0"},
             {"retries", "3"},
             {"message.send.max.retries", "3"},
             {"message.timeout.ms", "1000"},
             {"delivery.timeout.ms", "1000"},
             {"delivery.report.only.error", "true"},
             {"partitioner", "random"},
             {"transactional.id", "mine"},
             {"group.id", "mine"},
             {"queuing.strategy", "lifo"},
             {"max.in.flight", "6"},
             {"max.in.flight.requests.per.connection", "1000"},
             {"queue.buffering.max.messages", "1000000"},
             {"queue.buffering.max.kbytes", "1048576"},
             {"message.max.bytes", "1000"},
             {"plugin.library.paths", "/tmp/x.so"},
             {"bootstrap.servers", "elsewhere:9092"},
             {"test.mock.num.brokers", "3"},
         }) {
        INFO(name);
        const auto reason = check_property(name, value);
        REQUIRE(reason);
        CHECK(reason->size() > 20);
    }
}

TEST_CASE("properties: no debug line has a secret, so none has the configuration", "[upstream]") {
    for (const auto* const value : {"conf", "all", "broker,conf", "security, conf", "+conf"}) {
        INFO(value);
        const auto problem = check_property("debug", value);
        REQUIRE(problem);
        CHECK(problem->starts_with("not accepted: with conf or all it writes "));
    }
    for (const auto* const value : {"broker,security,protocol", "eos"}) {
        INFO(value);
        CHECK_FALSE(check_property("debug", value));
    }
}

TEST_CASE("properties: what does no harm passes", "[upstream]") {
    for (const auto& [name, value] : Properties{
             {"security.protocol", "SASL_SSL"},
             {"sasl.mechanism", "PLAIN"},
             {"sasl.password", "secret"},
             {"ssl.ca.location", "/etc/ssl/certs/ca.pem"},
             {"linger.ms", "100"},
             {"max.in.flight", "1"},
             {"queue.buffering.max.messages", "5000"},
             {"client.rack", "a"},
         }) {
        INFO(name);
        CHECK_FALSE(check_property(name, value));
    }
}

TEST_CASE("properties: unknown names and impossible values are librdkafka's to say", "[upstream]") {
    const auto unknown = check_property("no.such.thing", "1");
    REQUIRE(unknown);
    CHECK(unknown->find("no.such.thing") != std::string::npos);
    CHECK(check_property("linger.ms", "soon"));
    CHECK(check_property("max.in.flight", "many") == "not a number");
}

TEST_CASE("properties: only Kerberos takes the SASL library's plug-ins", "[upstream]") {
    CHECK_FALSE(needs_sasl_plugins({}));
    CHECK_FALSE(needs_sasl_plugins({{"security.protocol", "ssl"}}));
    CHECK_FALSE(needs_sasl_plugins({{"security.protocol", "sasl_ssl"}, {"sasl.mechanism", "PLAIN"}})
    );
    CHECK_FALSE(needs_sasl_plugins(
        {{"sasl.mechanisms", "SCRAM-SHA-512"}, {"security.protocol", "SASL_SSL"}}
    ));
    CHECK(needs_sasl_plugins({{"security.protocol", "SASL_PLAINTEXT"}}));
    CHECK(needs_sasl_plugins({{"security.protocol", "Sasl_ssl"}, {"sasl.mechanism", "gssapi"}}));
}

TEST_CASE("properties: SCRAM with an older library gives one line", "[upstream]") {
    const Properties scram = {{"sasl.mechanism", "SCRAM-SHA-512"}};
    CHECK(library_warning(scram, 0x020002ff));
    CHECK_FALSE(library_warning(scram, 0x020601ff));
    CHECK_FALSE(library_warning({{"sasl.mechanism", "PLAIN"}}, 0x020002ff));
}
