#include "gateway/config.hpp"

#include "gateway/config_checks.hpp"
#include "gateway/config_keys.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

using namespace milepost;

namespace {

std::vector<std::string> errors_of(std::string_view text, const PropertyCheck& check = {}) {
    std::vector<std::string> lines;
    for (const auto& error : parse_config(text, "m.toml", check).errors) {
        lines.push_back(error.text());
    }
    return lines;
}

constexpr std::string_view whole =
    "data_dir = \"/var/lib/milepost\"\n[upstream]\nbootstrap_servers = \"kafka.example:9092\"\n";

std::string shipped_file() {
    std::ifstream stream{MILEPOST_SHIPPED_CONFIG};
    return {std::istreambuf_iterator<char>{stream}, {}};
}

// The file with every commented-out key made a real one.
std::string uncommented(const std::string& text) {
    std::istringstream lines{text};
    std::string out;
    for (std::string line; std::getline(lines, line);) {
        out += line.starts_with('#') && !line.starts_with("# ") ? line.substr(1) : line;
        out += '\n';
    }
    return out;
}

}  // namespace

TEST_CASE("config: two keys are a whole, working configuration", "[config]") {
    const auto loaded = parse_config(whole, "m.toml");
    REQUIRE(loaded.errors.empty());
    const auto& config = loaded.config;
    CHECK(config.log.data_dir == "/var/lib/milepost");
    CHECK(config.gateway_id.empty());
    REQUIRE(config.mqtt.listeners.size() == 1);
    CHECK(config.mqtt.listeners[0].address == "127.0.0.1");
    CHECK(config.mqtt.listeners[0].port == 1883);
    CHECK(config.admin.port == 8080);
    CHECK(config.mqtt.packet_bytes_max == 256 * kib);
    REQUIRE(config.routes.size() == 3);
    CHECK(config.routes[0].filter == "vehicles/{vehicle_id}/telemetry");
    CHECK(config.routes[2].topic == "mqtt.other");
    CHECK(config.routes[1].partitions == 4);
    REQUIRE(config.upstream);
    CHECK(config.upstream->bootstrap_servers == "kafka.example:9092");
    CHECK(config.upstream->delivery == Delivery::exactly_once);
    CHECK(config.upstream->compression == "lz4");
    CHECK_FALSE(config.upstream->create_topics);
    CHECK(config.log.codec == storage::Codec::zstd);
    CHECK(config.time_require_sync);
}

TEST_CASE("config: without [upstream] there is none", "[config]") {
    const auto loaded = parse_config("data_dir = \"d\"", "m.toml");
    REQUIRE(loaded.errors.empty());
    CHECK_FALSE(loaded.config.upstream);
}

TEST_CASE("config: every key of the table is read", "[config]") {
    const auto loaded = parse_config(
        R"(
data_dir = "d"
gateway_id = "gw-1"
[[mqtt.listener]]
address = "0.0.0.0"
port = 2883
anonymous = true
[[mqtt.listener]]
address = "::1"
[mqtt]
max_packet_bytes = "64KiB"
max_connections = 7
in_flight_publishes = 8
in_flight_bytes = 65536
keep_alive_max = "2min"
max_topic_bytes = 100
max_client_id_bytes = 64
session_expiry_max = 60
[admin]
address = "127.0.0.2"
port = 0
[[route]]
filter = "a/{x}/+"
topic = "t.a"
key = "k-{x}-{2}"
partitions = 2
[upstream]
bootstrap_servers = ["a:1", "b:2"]
delivery = "at_least_once"
compression = "zstd"
create_topics = true
[upstream.librdkafka]
"socket.keepalive.enable" = true
log_level = 7
security.protocol = "ssl"
[log]
limit_bytes = "64MiB"
ring_bytes = "1MiB"
full = "block"
sync = "dsync"
commit_interval_min = "20ms"
codec = "lz4"
committer = "own"
[time]
require_sync = false
)",
        "m.toml"
    );
    for (const auto& error : loaded.errors)
        FAIL_CHECK(error.text());
    const auto& config = loaded.config;
    CHECK(config.gateway_id == "gw-1");
    REQUIRE(config.mqtt.listeners.size() == 2);
    CHECK(config.mqtt.listeners[0].port == 2883);
    CHECK(config.mqtt.listeners[0].anonymous);
    CHECK(config.mqtt.listeners[1].address == "::1");
    CHECK(config.mqtt.packet_bytes_max == 64 * kib);
    CHECK(config.mqtt.connections_max == 7);
    CHECK(config.mqtt.in_flight_publishes_max == 8);
    CHECK(config.mqtt.in_flight_bytes_max == 65'536);
    CHECK(config.mqtt.keep_alive_max == std::chrono::seconds{120});
    CHECK(config.mqtt.topic_bytes_max == 100);
    CHECK(config.mqtt.client_id_bytes_max == 64);
    CHECK(config.mqtt.session_expiry_max == std::chrono::seconds{60});
    CHECK(config.admin.address == "127.0.0.2");
    CHECK(config.admin.port == 0);
    REQUIRE(config.routes.size() == 1);
    CHECK(config.routes[0].key == "k-{x}-{2}");
    CHECK(config.routes[0].partitions == 2);
    CHECK(config.upstream->bootstrap_servers == "a:1,b:2");
    CHECK(config.upstream->compression == "zstd");
    CHECK(config.upstream->create_topics);
    CHECK(
        config.upstream->librdkafka ==
        Properties{
            {"log_level", "7"},
            {"security.protocol", "ssl"},
            {"socket.keepalive.enable", "true"}}
    );
    CHECK(config.log.limit_bytes == 64 * mib);
    CHECK(config.log.ring_bytes == mib);
    CHECK(config.log.sync == storage::SyncMethod::dsync);
    CHECK(config.log.commit_interval_min == std::chrono::milliseconds{20});
    CHECK(config.log.codec == storage::Codec::lz4);
    CHECK(config.log.committer == storage::CommitterThread::always_own);
    CHECK_FALSE(config.time_require_sync);
}

TEST_CASE("config: each mistake is named with its place", "[config]") {
    struct Case {
        const char* name;
        std::string text;
        std::string error;
    };

    const std::string data = "data_dir = \"d\"\n";
    const std::vector<Case> cases{
        {"no data_dir", "", "m.toml:1:1: data_dir: must be given: the folder of the log"},
        {"a gateway_id with a slash",
         data + "gateway_id = \"gw/2\"",
         "m.toml:2:14: gateway_id: `gw/2` is not made of letters, digits, `.`, `_` and `-`"},
        {"unknown key", data + "dta = 1", "m.toml:2:1: dta: unknown key"},
        {"unknown table", data + "[lgo]\nx = 1", "m.toml:2:2: lgo: unknown key"},
        {"unknown key in a table", data + "[log]\n  x = 1", "m.toml:3:3: log.x: unknown key"},
        {"a text for an integer",
         data + "[admin]\nport = \"80\"",
         "m.toml:3:8: admin.port: want an integer, got \"80\""},
        {"a boolean for a text",
         "data_dir = true",
         "m.toml:1:12: data_dir: want a text, got a boolean"},
        {"over a limit",
         data + "[admin]\nport = 65536",
         "m.toml:3:8: admin.port: 65536 is outside 0 to 65535"},
        {"a unit that does not exist",
         data + "[log]\nlimit_bytes = \"64M\"",
         "m.toml:3:15: log.limit_bytes: want bytes: an integer, or a text such as \"64MiB\", got "
         "\"64M\""},
        {"no choice",
         data + "[log]\nsync = \"yes\"",
         "m.toml:3:8: log.sync: \"yes\" is none of fdatasync|dsync"},
        {"a table where an array of tables belongs",
         data + "[mqtt.listener]\nport = 1",
         "m.toml:2:1: mqtt.listener: want [[mqtt.listener]], got a table"},
        {"a listener off loopback",
         data + "[[mqtt.listener]]\naddress = \"0.0.0.0\"",
         "m.toml:3:11: mqtt.listener.address: 0.0.0.0 is not loopback and has neither "
         "password_file nor client_ca; anonymous = true lets everybody in"},
        {"an address that is none",
         data + "[[mqtt.listener]]\naddress = \"localhost\"",
         "m.toml:3:11: mqtt.listener.address: `localhost` is no IP address"},
        {"a packet over the record",
         data + "[mqtt]\nmax_packet_bytes = 262144\n[log]\nring_bytes = \"1MiB\"",
         "m.toml:3:20: mqtt.max_packet_bytes: 262144 is over the largest record of 131072 bytes, "
         "the smaller of 1000000 and 1/8 of log.ring_bytes"},
        {"a route without a topic",
         data + "[[route]]\nfilter = \"#\"",
         "m.toml:2:1: route.topic: must be given"},
        {"a topic Kafka does not take",
         data + "[[route]]\nfilter = \"#\"\ntopic = \"a b\"",
         "m.toml:4:9: route.topic: `a b` is no Kafka topic ([A-Za-z0-9._-], 1 to 249 bytes)"},
        {"a topic for dead letters",
         data + "[[route]]\nfilter = \"#\"\ntopic = \"t.dead-letter\"",
         "m.toml:4:9: route.topic: `t.dead-letter`: topics that end in .dead-letter are for "
         "records that Kafka refuses"},
        {"a capture that does not exist",
         data + "[[route]]\nfilter = \"a/{x}\"\ntopic = \"t\"\nkey = \"{y}\"",
         "m.toml:5:7: route.key: the filter has no capture `{y}`"},
        {"two routes, one topic, different partitions",
         data + "[[route]]\nfilter = \"a\"\ntopic = \"t\"\npartitions = 2\n[[route]]\nfilter = "
                "\"b\"\ntopic = \"t\"",
         "m.toml:6:1: route.partitions: topic `t` has 2 in a route above and 4 here"},
        {"empty bootstrap_servers",
         data + "[upstream]\nbootstrap_servers = []",
         "m.toml:3:21: upstream.bootstrap_servers: must name at least one broker; without "
         "[upstream] nothing is forwarded"},
        {"no bootstrap_servers",
         data + "[upstream]\ncompression = \"lz4\"",
         "m.toml:2:1: upstream.bootstrap_servers: must be given"},
        {"a server without a port number",
         data + "[upstream]\nbootstrap_servers = \"a:x\"",
         "m.toml:3:21: upstream.bootstrap_servers: `a:x` is no host:port"},
        {"a delivery that there is not",
         std::string{whole} + "delivery = \"at_most_once\"",
         "m.toml:4:12: upstream.delivery: \"at_most_once\" is none of at_least_once|exactly_once"},
        {"a log that is too small",
         data + "[log]\nlimit_bytes = 1000\nring_bytes = \"4KiB\"",
         "m.toml:3:15: log.limit_bytes: 1000 is under 4194304"},
        {"a full policy that is none",
         data + "[log]\nfull = \"drop\"",
         "m.toml:3:8: log.full: \"drop\" is none of block|drop_oldest"},
        {"a topic twice",
         data + "[[topic]]\nname = \"a\"\n[[topic]]\nname = \"a\"",
         "m.toml:5:8: topic.name: `a` has a [[topic]] above"},
        {"a compression that is not written",
         data + "[[topic]]\nname = \"a\"\ncompression = \"gzip\"",
         "m.toml:4:15: topic.compression: \"gzip\" is none of none|lz4|zstd"},
        {"a topic without a name",
         data + "[[topic]]\nretention_bytes = 1",
         "m.toml:2:1: topic.name: must be given"},
    };
    for (const auto& one : cases) {
        DYNAMIC_SECTION(one.name) {
            CHECK(errors_of(one.text) == std::vector<std::string>{one.error});
        }
    }
}

TEST_CASE("config: how long a topic is kept, and what happens when the log is full", "[config]") {
    const auto loaded = parse_config(
        "data_dir = \"/d\"\n[[topic]]\nname = \"a\"\nretention_ms = \"7d\"\n[[topic]]\n"
        "name = \"b\"\nretention_bytes = \"1GiB\"\ncompression = \"none\"\n[log]\nfull = "
        "\"drop_oldest\"\n"
        "endurance_bytes = \"30TiB\"\n",
        "m.toml"
    );
    REQUIRE(loaded.errors.empty());
    const auto& config = loaded.config;
    CHECK(config.log.full == storage::FullPolicy::drop_oldest);
    CHECK(config.log.retention.at("a").age == std::chrono::hours{24 * 7});
    CHECK(config.log.retention.at("a").bytes == 0);
    CHECK(config.log.retention.at("b").bytes == gib);
    CHECK(config.log.codec == storage::Codec::zstd);
    CHECK_FALSE(config.log.topic_codecs.contains("a"));
    CHECK(config.log.topic_codecs.at("b") == storage::Codec::none);
    CHECK(config.endurance_bytes == 30 * 1024 * gib);
}

TEST_CASE("config: all mistakes come at once, in the order of the file", "[config]") {
    const auto errors = errors_of(
        "x = 1\n[admin]\nport = -1\n[[route]]\nfilter = \"a/#/b\"\ntopic = \"\"\n[log]\nsync = 1\n"
    );
    REQUIRE(errors.size() == 6);
    CHECK(errors[1].starts_with("m.toml:1:1: data_dir"));
    CHECK(errors[0].starts_with("m.toml:1:1: x: unknown"));
    CHECK(errors[2].starts_with("m.toml:3:8: admin.port"));
    CHECK(errors[3].starts_with("m.toml:5:10: route.filter: `#` must be the last level"));
    CHECK(errors[4].starts_with("m.toml:6:9: route.topic"));
    CHECK(errors[5].starts_with("m.toml:8:8: log.sync"));
}

TEST_CASE("config: a syntax error has its place and ends the file", "[config]") {
    const auto errors = errors_of("data_dir = \"d\"\nport = = 1\n");
    REQUIRE(errors.size() == 1);
    CHECK(errors[0].starts_with("m.toml:2:8: "));
}

TEST_CASE("config: a property that would break a promise is refused at its place", "[config]") {
    const auto check = [](std::string_view name, std::string_view, Delivery delivery
                       ) -> std::optional<std::string> {
        if (name == "acks") return "acks is always all";
        if (name == "linger.ms" && delivery == Delivery::exactly_once) return "too long";
        return std::nullopt;
    };
    const auto properties = std::string{"[upstream.librdkafka]\nlog_level = 1\nacks = 1\n"} +
                            "linger.ms = 9";
    CHECK(
        errors_of(std::string{whole} + properties, check) ==
        std::vector<std::string>{
            "m.toml:6:1: upstream.librdkafka.acks: acks is always all",
            "m.toml:7:8: upstream.librdkafka.linger.ms: too long"}
    );
    CHECK(
        errors_of(std::string{whole} + "delivery = \"at_least_once\"\n" + properties, check) ==
        std::vector<std::string>{"m.toml:7:1: upstream.librdkafka.acks: acks is always all"}
    );
}

TEST_CASE("config: the default packet limit follows a small ring down", "[config]") {
    const auto loaded = parse_config("data_dir = \"d\"\n[log]\nring_bytes = \"1MiB\"", "m.toml");
    REQUIRE(loaded.errors.empty());
    CHECK(loaded.config.mqtt.packet_bytes_max == 128 * kib);
}

TEST_CASE("config: a file that is not there is an error without a line", "[config]") {
    const auto loaded = load_config("/nonexistent/m.toml");
    REQUIRE(loaded.errors.size() == 1);
    CHECK(
        loaded.errors[0].text() ==
        "/nonexistent/m.toml: cannot be opened: No such file or directory"
    );
}

TEST_CASE("config: the shipped file is what the table of keys says", "[config]") {
    CHECK(shipped_file() == describe_config());
}

TEST_CASE("config: the shipped file loads as it is and with every key set", "[config]") {
    CHECK(errors_of(shipped_file()).empty());
    const auto all = errors_of(uncommented(shipped_file()));
    CHECK(all == std::vector<std::string>{});
}
