#include "gateway/bridge/log_side.hpp"

#include "gateway/listener/session_state.hpp"
#include "gateway/mqtt/encode.hpp"
#include "storage/log/errc.hpp"
#include "tests/support/wait_until.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <deque>
#include <mutex>
#include <thread>

namespace milepost::bridge {

namespace {

constexpr std::chrono::seconds patience{10};
constexpr Peer peer = 7;

// One group at a time: what is appended is durable when the test says so, or never.
class OneGroupLog : public storage::Appender {
public:
    using storage::Appender::append;

    Result<storage::Offset> append(
        storage::PartitionId,
        const storage::RecordView& record,
        std::optional<AckToken> token,
        const storage::SessionChange& change
    ) override {
        if (fails) return fails;
        values.emplace_back(as_text(record.value));
        keys.emplace_back(as_text(record.key));
        return note(change, token), storage::Offset{0};
    }

    Result<void> append_change(const storage::SessionChange& change, std::optional<AckToken> token)
        override {
        if (fails) return fails;
        note(change, token);
        return {};
    }

    Result<void> append_session(std::string_view, Bytes, std::optional<AckToken>) override {
        return {};
    }

    void append_token(AckToken token) override { tokens.push_back(token); }

    storage::IntakeState intake() const override {
        return fails ? storage::IntakeState::disk_reserve : storage::IntakeState::open;
    }

    std::size_t open_group_bytes() const override { return 0; }

    void note(const storage::SessionChange& change, std::optional<AckToken> token) {
        if (!change.bytes.empty()) {
            CHECK(change.client_id == row_key("plant"));
            row = listener::merge_session_states(row, {&change.bytes, 1});
        }
        if (token) tokens.push_back(*token);
    }

    std::vector<std::string> values;
    std::vector<std::string> keys;
    std::vector<AckToken> tokens;
    bool keeps_tokens = false;  // the group is not durable yet
    Buffer row;                 // as it is durable with the group
    ErrorCode fails;
};

// The network thread is the test's: it runs what is posted when the test says so.
struct Fixture {
    Fixture() {
        auto route = ingest::Route::compile({"site/#", "site", "", 1});
        intake.emplace(
            log,
            std::vector<ingest::BoundRoute>{
                {std::move(std::get<ingest::Route>(route)), {storage::PartitionId{0}}}},
            ingest::Intake::Limits{}
        );
        side.emplace(
            LogSide::Wiring{
                log,
                *intake,
                [this](std::function<void()> task) {
                    const std::lock_guard lock{mutex};
                    posted.push_back(std::move(task));
                },
                [] {},
                [this] { ++turns; },
                [this](std::string_view, std::string_view) {
                    ++notices;
                }},
            "plant",
            "milepost-1",
            peer,
            stats
        );
    }

    // One item from Paho's thread, taken by the network thread; then `then`, then its end.
    template <class Give, class Then>
    void cross(Give give, Then then) {
        std::atomic<bool> is_over = false;
        std::thread paho{[&] {
            give();
            is_over = true;
        }};
        REQUIRE(test::wait_until([&] { return run_one() || is_over.load(); }, patience));
        then(is_over);
        if (!log.keeps_tokens) bring_tokens();
        paho.join();
    }

    void bring_tokens() {
        for (const AckToken& token : std::exchange(log.tokens, {}))
            side->acked(token);
    }

    bool run_one() {
        std::function<void()> task;
        {
            const std::lock_guard lock{mutex};
            if (posted.empty()) return false;
            task = std::move(posted.front());
            posted.pop_front();
        }
        task();
        return true;
    }

    void publish(
        std::string_view payload,
        mqtt::Qos qos = mqtt::Qos::exactly_once,
        std::string_view topic = "site/a",
        bool dup = false
    ) {
        cross(
            [&] {
                mqtt::Publish publish;
                publish.topic = topic;
                publish.payload = as_bytes(payload);
                publish.qos = qos;
                publish.dup = dup;
                publish.ticket.packet_id = 9;
                Buffer packet;
                mqtt::encode_publish(packet, mqtt::ProtocolLevel::v3_1_1, publish);
                side->give_packet(packet, mqtt::ProtocolLevel::v3_1_1);
            },
            [&](const auto& is_over) {
                if (qos != mqtt::Qos::at_most_once) CHECK_FALSE(is_over);
            }
        );
    }

    void release() {
        cross([&] { side->give_release(9); }, [](const auto&) {});
    }

    OneGroupLog log;
    std::optional<ingest::Intake> intake;
    Stats stats;
    std::mutex mutex;
    std::deque<std::function<void()>> posted;
    std::atomic<int> notices = 0;
    int turns = 0;
    std::optional<LogSide> side;
};

}  // namespace

TEST_CASE("a QoS 2 publish is answered when it is durable, and written once until it is released") {
    Fixture f;
    f.publish("one");
    CHECK(f.log.values == std::vector<std::string>{"one"});
    CHECK(f.log.keys == std::vector<std::string>{"milepost-1"});
    CHECK(BrokerSession{f.log.row}.waits(9));
    f.publish("one", mqtt::Qos::exactly_once, "site/a", true);
    CHECK(f.log.values.size() == 1);
    CHECK(f.stats.duplicates.value() == 1);

    f.release();
    CHECK_FALSE(BrokerSession{f.log.row}.waits(9));
    f.publish("one", mqtt::Qos::exactly_once, "site/a", true);  // an equal one, and another
    CHECK(f.log.values.size() == 2);
    CHECK(f.stats.received.value() == 3);
    CHECK(f.intake->stats().rejected_duplicate.value() == 1);
}

TEST_CASE("what was durable before a crash is known after it") {
    Fixture before;
    before.publish("one");
    Fixture after;
    after.side->restore(before.log.row);
    CHECK(after.side->unreleased() == std::vector<mqtt::PacketId>{9});
    after.publish("one");
    CHECK(after.log.values.empty());
    after.publish("two");  // the broker has lost its session
    CHECK(after.log.values == std::vector<std::string>{"two"});
}

TEST_CASE("a QoS 1 publish is written whenever it comes") {
    Fixture f;
    f.publish("one", mqtt::Qos::at_least_once);
    f.publish("one", mqtt::Qos::at_least_once, "site/a", true);
    CHECK(f.log.values.size() == 2);
    CHECK(f.stats.redelivered.value() == 1);
    CHECK(f.side->unreleased().empty());
}

TEST_CASE("records are counted in the group that they are in, and shown when it is durable") {
    Fixture f;
    f.publish("zero", mqtt::Qos::at_most_once);
    f.publish("one", mqtt::Qos::at_least_once);
    f.publish("two");
    f.publish("two", mqtt::Qos::exactly_once, "site/a", true);
    f.publish("astray", mqtt::Qos::at_least_once, "elsewhere");
    CHECK(f.log.values.size() == 3);
    CHECK(f.side->accepted() == 3);
    CHECK(BrokerSession{f.log.row}.accepted() == 3);

    f.publish("zero", mqtt::Qos::at_most_once, "elsewhere");
    f.log.keeps_tokens = true;
    f.publish("zero", mqtt::Qos::at_most_once);
    CHECK(f.side->accepted() == 3);  // in the open group
    CHECK(BrokerSession{f.log.row}.accepted() == 4);
    f.bring_tokens();
    CHECK(f.side->accepted() == 4);

    Fixture after;
    after.side->restore(f.log.row);
    CHECK(after.side->accepted() == 4);
    after.publish("three");
    CHECK(after.side->accepted() == 5);
    after.side->note_new_log();
    CHECK(after.side->accepted() == 0);
    after.publish("four");
    CHECK(after.side->accepted() == 1);
}

TEST_CASE("a QoS 0 publish is not waited for, and what has no route is answered and counted") {
    Fixture f;
    f.publish("zero", mqtt::Qos::at_most_once);
    CHECK(f.log.values.size() == 1);
    CHECK(f.turns == 1);
    f.publish("astray", mqtt::Qos::exactly_once, "elsewhere");
    CHECK(f.log.values.size() == 1);
    CHECK(f.intake->stats().rejected_no_route.value() == 1);
    f.release();  // nothing is kept of it
    CHECK(f.side->unreleased().empty());
}

TEST_CASE("while the log takes nothing in the broker is not answered, and then it is written") {
    Fixture f;
    f.log.fails = storage::LogErrc::intake_closed;
    f.cross(
        [&] {
            mqtt::Publish publish;
            publish.topic = "site/a";
            publish.qos = mqtt::Qos::exactly_once;
            publish.ticket.packet_id = 9;
            Buffer packet;
            mqtt::encode_publish(packet, mqtt::ProtocolLevel::v5, publish);
            f.side->give_packet(packet, mqtt::ProtocolLevel::v5);
        },
        [&](const auto& is_over) {
            CHECK(f.side->waits_for_log());
            f.side->retry();
            while (f.run_one()) {
            }
            CHECK_FALSE(is_over);
            CHECK(f.stats.received.value() == 0);
            f.log.fails = {};
            f.side->retry();
            while (f.run_one()) {
            }
            CHECK_FALSE(f.side->waits_for_log());
            CHECK_FALSE(is_over);  // written, not durable
            CHECK(f.log.values.size() == 1);
        }
    );
}

TEST_CASE("a token of another one, or of an earlier item, answers nothing") {
    Fixture f;
    f.publish("one");
    f.cross(
        [&] { f.side->give_release(9); },
        [&](const auto& is_over) {
            AckToken other;
            other.connection = connection_first + 1;
            other.packet_id = 1;
            other.generation = 2;
            f.side->acked(other);
            other.connection = connection_first;
            other.generation = 1;
            f.side->acked(other);
            CHECK_FALSE(is_over);
        }
    );
}

TEST_CASE("what is no PUBLISH is counted and not written") {
    Fixture f;
    for (const std::string_view packet : {"", "\x34", "\x34\x02\xff\xff", "\xe0\x01x", "garbage"}) {
        f.side->give_packet(as_bytes(packet), mqtt::ProtocolLevel::v3_1_1);
    }
    CHECK(f.stats.malformed.value() == 5);
    CHECK(f.notices == 5);
    CHECK(f.log.values.empty());
}

TEST_CASE("the filters that the broker holds are durable when it returns") {
    Fixture f;
    const Filters filters{{"site/#", 2}};
    f.cross(
        [&] { f.side->give_filters(filters); },
        [](const auto& is_over) { CHECK_FALSE(is_over); }
    );
    CHECK(f.side->filters() == filters);
    CHECK(BrokerSession{f.log.row, peer}.filters() == filters);
    CHECK(BrokerSession{f.log.row, peer + 1}.filters() == in_doubt(filters));
    Fixture after;
    after.side->restore(f.log.row);
    CHECK(after.side->filters() == filters);
}

}  // namespace milepost::bridge
