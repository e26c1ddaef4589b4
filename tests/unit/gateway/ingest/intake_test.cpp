#include "gateway/ingest/intake.hpp"

#include "gateway/ingest/partitioner.hpp"
#include "gateway/mqtt/encode.hpp"
#include "storage/log/errc.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <utility>
#include <vector>

namespace milepost::ingest {

namespace {

struct Appended {
    storage::PartitionId partition;
    std::string key;
    std::string value;
    std::vector<std::pair<std::string, std::string>> headers;
    std::optional<AckToken> token;
    std::string change;
};

// A log that remembers what it was given.
class RecordingAppender : public storage::Appender {
public:
    using storage::Appender::append;

    Result<storage::Offset> append(
        storage::PartitionId partition,
        const storage::RecordView& record,
        std::optional<AckToken> token,
        const storage::SessionChange& change
    ) override {
        if (fails) return fails;
        Appended& added = appended.emplace_back();
        added.partition = partition;
        added.key = as_text(record.key);
        added.value = as_text(record.value);
        for (const auto& header : record.headers) {
            added.headers.emplace_back(header.name, as_text(header.value));
        }
        added.token = token;
        added.change = std::string{change.client_id} + "=" + std::string{as_text(change.bytes)};
        return storage::Offset{static_cast<std::int64_t>(appended.size()) - 1};
    }

    Result<void> append_change(const storage::SessionChange&, std::optional<AckToken>) override {
        return {};
    }

    Result<void> append_session(std::string_view, Bytes, std::optional<AckToken>) override {
        return {};
    }

    void append_token(AckToken token) override { rides.push_back(token); }

    storage::IntakeState intake() const override { return state; }

    std::size_t open_group_bytes() const override { return group_bytes; }

    std::vector<Appended> appended;
    std::vector<AckToken> rides;
    ErrorCode fails;
    storage::IntakeState state = storage::IntakeState::open;
    std::size_t group_bytes = 0;
};

struct Fixture {
    Fixture() {
        std::uint32_t next = 0;
        for (const RouteSpec& spec : shipped_routes()) {
            BoundRoute bound{std::get<Route>(Route::compile(spec)), {}};
            for (int i = 0; i < spec.partitions; ++i)
                bound.partitions.emplace_back(next++);
            routes.push_back(std::move(bound));
        }
        routes.pop_back();  // without `#`, so that something has no route
        intake.emplace(log, routes, Intake::Limits{64, 1000});
    }

    mqtt::Taken publish(std::string_view topic, mqtt::Qos qos, Bytes properties = {}) {
        mqtt::Publish publish;
        publish.topic = topic;
        publish.payload = as_bytes("payload");
        publish.properties = properties;
        publish.qos = qos;
        AckToken token;
        token.packet_id = 7;
        return intake->publish(publish, "client", token);
    }

    RecordingAppender log;
    std::vector<BoundRoute> routes;
    std::optional<Intake> intake;
};

}  // namespace

TEST_CASE("intake: a reading becomes a record with its vehicle as key", "[intake]") {
    Fixture f;
    CHECK(f.publish("vehicles/V1/telemetry", mqtt::Qos::at_least_once) == mqtt::Taken::yes);
    REQUIRE(f.log.appended.size() == 1);
    const Appended& record = f.log.appended.front();
    CHECK(record.key == "V1");
    CHECK(record.value == "payload");
    CHECK(record.headers.empty());
    CHECK(record.token->packet_id == 7);
    CHECK(record.partition.value() == static_cast<std::uint32_t>(partition_for(as_bytes("V1"), 4)));
    CHECK(f.intake->stats().accepted.value() == 1);
}

TEST_CASE("intake: a topic that cannot be rebuilt is kept as a header", "[intake]") {
    Fixture f;
    f.publish("vehicles/V1/event/door/left", mqtt::Qos::at_least_once);
    REQUIRE(f.log.appended.size() == 1);
    CHECK(
        f.log.appended[0].headers[0] ==
        std::pair<std::string, std::string>{"mqtt.topic", "vehicles/V1/event/door/left"}
    );
}

TEST_CASE("intake: QoS 0 takes no token", "[intake]") {
    Fixture f;
    f.publish("vehicles/V1/telemetry", mqtt::Qos::at_most_once);
    REQUIRE(f.log.appended.size() == 1);
    CHECK_FALSE(f.log.appended[0].token.has_value());
}

TEST_CASE("intake: a publish without a route is refused in its place among the acks", "[intake]") {
    Fixture f;
    CHECK(f.publish("elsewhere", mqtt::Qos::at_least_once) == mqtt::Taken::refused);
    CHECK(f.log.appended.empty());
    REQUIRE(f.log.rides.size() == 1);
    CHECK(f.log.rides[0].reason == 0x90);
    CHECK(f.intake->stats().rejected_no_route.value() == 1);
    f.publish("elsewhere", mqtt::Qos::at_most_once);
    CHECK(f.log.rides.size() == 1);
}

TEST_CASE(
    "intake: while the log takes nothing QoS 1 waits uncounted and QoS 0 is dropped",
    "[intake]"
) {
    Fixture f;
    f.log.fails = storage::LogErrc::intake_closed;
    CHECK(f.publish("vehicles/V1/telemetry", mqtt::Qos::at_least_once) == mqtt::Taken::later);
    CHECK(f.intake->stats().received_qos1.value() == 0);
    CHECK(f.publish("vehicles/V1/telemetry", mqtt::Qos::at_most_once) == mqtt::Taken::refused);
    CHECK(f.intake->stats().received_qos0.value() == 1);
    CHECK(f.intake->stats().rejected_qos0_overload.value() == 1);
    const Message will{"client", "vehicles/V1/telemetry", {}, {}, false, true};
    CHECK(f.intake->will(will) == mqtt::Taken::later);
}

TEST_CASE("intake: QoS 0 is the first to be dropped when the open group is half full", "[intake]") {
    Fixture f;
    f.log.group_bytes = 501;
    f.publish("vehicles/V1/telemetry", mqtt::Qos::at_most_once);
    CHECK(f.log.appended.empty());
    f.publish("vehicles/V1/telemetry", mqtt::Qos::at_least_once);
    CHECK(f.log.appended.size() == 1);
}

TEST_CASE("intake: a record that can never fit is refused and counted", "[intake]") {
    Fixture f;
    f.log.fails = storage::LogErrc::record_too_large;
    CHECK(f.publish("vehicles/V1/telemetry", mqtt::Qos::at_least_once) == mqtt::Taken::refused);
    CHECK(f.intake->stats().rejected_too_large.value() == 1);
    REQUIRE(f.log.rides.size() == 1);
    CHECK(f.log.rides[0].reason == 0x83);
}

TEST_CASE("intake: a duplicate is counted, and its token rides", "[intake]") {
    Fixture f;
    mqtt::Publish publish;
    publish.topic = "vehicles/V1/telemetry";
    AckToken token;
    for (const auto qos : {mqtt::Qos::at_least_once, mqtt::Qos::exactly_once}) {
        publish.qos = qos;
        token.packet_id = static_cast<std::uint16_t>(qos);
        f.intake->duplicate(publish, token);
    }
    CHECK(f.log.appended.empty());
    REQUIRE(f.log.rides.size() == 2);
    CHECK(f.log.rides[1].packet_id == 2);
    CHECK(f.log.rides[1].reason == 0);
    CHECK(f.intake->stats().received_qos1.value() == 1);
    CHECK(f.intake->stats().received_qos2.value() == 1);
    CHECK(f.intake->stats().rejected_duplicate.value() == 2);
}

TEST_CASE("intake: the session's change goes with the record", "[intake]") {
    Fixture f;
    mqtt::Publish publish;
    publish.topic = "vehicles/V1/telemetry";
    publish.qos = mqtt::Qos::exactly_once;
    f.intake->publish(publish, "client", {}, as_bytes("change"));
    REQUIRE(f.log.appended.size() == 1);
    CHECK(f.log.appended[0].change == "client=change");
    CHECK(f.intake->stats().received_qos2.value() == 1);
}

TEST_CASE(
    "intake: user properties become headers, a sensor's own mp.* and mqtt.* do not",
    "[intake]"
) {
    Fixture f;
    Buffer properties;
    const auto add = [&](std::string_view name, std::string_view value) {
        properties.push_back(std::byte{38});
        append_big(properties, static_cast<std::uint16_t>(name.size()));
        append_bytes(properties, as_bytes(name));
        append_big(properties, static_cast<std::uint16_t>(value.size()));
        append_bytes(properties, as_bytes(value));
    };
    add("unit", "km/h");
    add("mp.id", "forged");
    add("mqtt.topic", "forged");
    f.publish("vehicles/V1/telemetry", mqtt::Qos::at_least_once, properties);
    REQUIRE(f.log.appended.size() == 1);
    REQUIRE(f.log.appended[0].headers.size() == 1);
    CHECK(f.log.appended[0].headers[0].first == "unit");
    CHECK(f.intake->stats().dropped_user_properties.value() == 2);
}

TEST_CASE("intake: expiry, response topic and correlation data become headers", "[intake]") {
    Fixture f;
    Buffer properties;
    mqtt::append_number_property(properties, mqtt::PropertyId::message_expiry_interval, 4294967295);
    mqtt::append_text_property(properties, mqtt::PropertyId::response_topic, "answers/V1");
    mqtt::append_text_property(properties, mqtt::PropertyId::correlation_data, "\x01\x02");
    f.publish("vehicles/V1/telemetry", mqtt::Qos::at_least_once, properties);
    REQUIRE(f.log.appended.size() == 1);
    const auto& headers = f.log.appended[0].headers;
    REQUIRE(headers.size() == 3);
    CHECK(headers[0].first == "mqtt.expiry_s");
    CHECK(headers[0].second == "4294967295");
    CHECK(headers[1].first == "mqtt.response_topic");
    CHECK(headers[1].second == "answers/V1");
    CHECK(headers[2].first == "mqtt.correlation_data");
    CHECK(headers[2].second == "\x01\x02");
}

TEST_CASE("intake: before the clock is synchronised records say so", "[intake]") {
    Fixture f;
    f.intake->set_clock_synced(false);
    f.publish("vehicles/V1/telemetry", mqtt::Qos::at_least_once);
    CHECK(f.log.appended.at(0).headers.at(0).first == "mp.clock");
}

TEST_CASE("intake: received is accepted plus rejected", "[intake]") {
    Fixture f;
    for (int i = 0; i < 5; ++i)
        f.publish("vehicles/V1/telemetry", mqtt::Qos::at_least_once);
    f.publish("elsewhere", mqtt::Qos::at_least_once);
    f.log.group_bytes = 501;
    f.publish("vehicles/V1/telemetry", mqtt::Qos::at_most_once);
    const Message will{"client", "vehicles/V1/telemetry", {}, {}, false, true};
    CHECK(f.intake->will(will) == mqtt::Taken::yes);
    const IntakeStats& s = f.intake->stats();
    CHECK(
        s.received_qos0.value() + s.received_qos1.value() + s.received_wills.value() ==
        s.accepted.value() + s.rejected_no_route.value() + s.rejected_qos0_overload.value() +
            s.rejected_too_large.value()
    );
    CHECK(s.accepted.value() == 6);
}

}  // namespace milepost::ingest
