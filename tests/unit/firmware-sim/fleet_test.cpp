#include "firmware-sim/fleet.hpp"

#include "sensors/payload.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

using namespace milepost;
using namespace milepost::fleet;
using namespace std::chrono_literals;

namespace {

// What the gateway of these tests was told, and how it behaves.
struct Gateway {
    std::map<std::uint32_t, std::vector<std::uint64_t>> received;
    std::map<std::uint32_t, std::string> payloads;  // one behind the other
    std::set<std::uint64_t> swallows;  // these numbers are lost with the connection, once
    std::set<std::uint64_t> refuses;   // answered with 0x97
    bool has_session = false;          // after a loss
    int failing_connects = 0;          // for each vehicle
    TlsFailure tls_failure = 0;        // the cause of these
    bool answers = true;
    int abandoned = 0;
};

// A link that answers at once, on the fleet's own thread.
class ScriptedLink final : public Link {
public:
    ScriptedLink(Gateway& gateway, Inbox& inbox, std::uint32_t vehicle)
        : gateway_(&gateway)
        , inbox_(&inbox)
        , vehicle_(vehicle)
        , failing_connects_(gateway.failing_connects) {}

    void connect() override {
        if (failing_connects_-- > 0) {
            return post({.kind = LinkEventKind::connect_failed, .seq = gateway_->tls_failure});
        }
        is_online_ = true;
        const bool session_present = was_lost_ && gateway_->has_session;
        if (session_present) {
            for (const auto seq : in_flight_)
                deliver(seq);
        }
        in_flight_.clear();
        post({.kind = LinkEventKind::connected, .window = 4, .session_present = session_present});
    }

    bool publish(std::uint64_t seq, const std::string& payload) override {
        if (!is_online_) return false;
        sensors::PayloadParser parser;
        const auto head = parser.parse_head(as_bytes(payload));
        REQUIRE(head.has_value());
        CHECK(head->seq == seq);
        gateway_->payloads[vehicle_] += payload;
        if (gateway_->swallows.erase(seq) > 0) {
            in_flight_.push_back(seq);
            is_online_ = false;
            was_lost_ = true;
            post({.kind = LinkEventKind::lost});
            return true;
        }
        deliver(seq);
        return true;
    }

    void disconnect() override { post({.kind = LinkEventKind::disconnected}); }

    void step(const LinkEvent&) override {}

    void cut() override {
        if (is_online_) post({.kind = LinkEventKind::lost});
        is_online_ = false;
        was_lost_ = true;
    }

    void abandon() override {
        is_online_ = false;
        ++gateway_->abandoned;
        failing_connects_ = 0;
    }

private:
    void deliver(std::uint64_t seq) {
        gateway_->received[vehicle_].push_back(seq);
        if (!gateway_->answers) return;
        if (gateway_->refuses.count(seq) > 0) {
            post({.kind = LinkEventKind::refused, .seq = seq, .code = 0x97});
        } else {
            post({.kind = LinkEventKind::acknowledged, .seq = seq});
        }
    }

    void post(LinkEvent event) {
        event.vehicle = vehicle_;
        event.at = monotonic_now();
        event.wall = wall_now();
        inbox_->sink().push(event);
    }

    Gateway* gateway_;
    Inbox* inbox_;
    std::uint32_t vehicle_;
    int failing_connects_;
    bool is_online_ = false;
    bool was_lost_ = false;
    std::vector<std::uint64_t> in_flight_;
};

// Three vehicles, 20 readings each, as fast as may be.
FleetSettings quick() {
    FleetSettings settings;
    settings.vehicles = 3;
    settings.rate = 1000;
    settings.duration = 20ms;
    settings.drain = 10s;
    return settings;
}

Tally run(const FleetSettings& settings, Gateway& gateway, Ledger ledger = {}) {
    Inbox inbox{-1};
    Fleet fleet{
        settings,
        std::move(ledger),
        inbox,
        [&](std::uint32_t vehicle, const LinkIdentity&) {
            return std::make_unique<ScriptedLink>(gateway, inbox, vehicle);
        }};
    auto tally = fleet.run(Progress{Progress::Style::none, false});
    REQUIRE(tally.has_value());
    return *tally;
}

std::vector<std::uint64_t> one_to(std::uint64_t last) {
    std::vector<std::uint64_t> numbers;
    for (std::uint64_t number = 1; number <= last; ++number)
        numbers.push_back(number);
    return numbers;
}

}  // namespace

TEST_CASE("fleet: every vehicle's readings arrive in order and are acknowledged", "[fleet]") {
    Gateway gateway;
    const Tally tally = run(quick(), gateway);
    CHECK(tally.sampled == 60);
    CHECK(tally.published == 60);
    CHECK(tally.acknowledged == 60);
    CHECK(tally.is_settled());
    CHECK(tally.ack_latency.count() == 60);
    CHECK(gateway.received.size() == 3);
    for (const auto& [vehicle, seqs] : gateway.received)
        CHECK(seqs == one_to(20));
}

TEST_CASE("fleet: failed connects are tried again, nothing is lost meanwhile", "[fleet]") {
    Gateway gateway;
    gateway.failing_connects = 2;
    const Tally tally = run(quick(), gateway);
    CHECK(tally.acknowledged == 60);
    for (const auto& [vehicle, seqs] : gateway.received)
        CHECK(seqs == one_to(20));
}

TEST_CASE("fleet: order holds over a lost connection, with the session and without", "[fleet]") {
    for (const bool has_session : {true, false}) {
        INFO(has_session);
        Gateway gateway;
        gateway.has_session = has_session;
        gateway.swallows = {5};
        FleetSettings settings = quick();
        settings.vehicles = 1;
        const Tally tally = run(settings, gateway);
        CHECK(tally.connections_lost == 1);
        CHECK(tally.published == 20);
        CHECK(tally.acknowledged == 20);
        CHECK(gateway.received[0] == one_to(20));
    }
}

TEST_CASE("fleet: what the gateway refuses for good is dropped with the reason", "[fleet]") {
    const test::TempDir dir;
    const std::string path = dir.path() / "ledger";
    Gateway gateway;
    gateway.refuses = {3};
    auto ledger = Ledger::open(path);
    REQUIRE(ledger.has_value());
    const Tally tally = run(quick(), gateway, std::move(*ledger));
    CHECK(tally.acknowledged == 57);
    CHECK(tally.dropped_refused == 3);
    CHECK(tally.is_settled());
    std::ifstream file{path};
    std::ostringstream text;
    text << file.rdbuf();
    CHECK(text.str().find("\tV0002\t3\tdropped\trefused_0x97\n") != std::string::npos);
}

TEST_CASE("fleet: a full buffer drops the oldest, and the account still adds up", "[fleet]") {
    Gateway gateway;
    gateway.failing_connects = 1;
    FleetSettings settings = quick();
    settings.buffer_readings = 5;
    const Tally tally = run(settings, gateway);
    CHECK(tally.sampled == 60);
    CHECK(tally.dropped_buffer_full == 45);
    CHECK(tally.acknowledged == 15);
    CHECK(gateway.received[0] == std::vector<std::uint64_t>{16, 17, 18, 19, 20});
}

TEST_CASE("fleet: without an answer it gives up after the drain time and says so", "[fleet]") {
    Gateway gateway;
    gateway.answers = false;
    FleetSettings settings = quick();
    settings.drain = 50ms;
    const Tally tally = run(settings, gateway);
    CHECK(tally.outstanding == 60);
    CHECK(tally.published == 12);  // the window of each
    CHECK_FALSE(tally.is_settled());
}

TEST_CASE("fleet: the ledger has each reading's life, and the next run counts on", "[fleet]") {
    const test::TempDir dir;
    const std::string path = dir.path() / "ledger";
    Gateway gateway;
    for (int i = 0; i < 2; ++i) {
        auto ledger = Ledger::open(path);
        REQUIRE(ledger.has_value());
        run(quick(), gateway, std::move(*ledger));
    }
    CHECK(gateway.received[2] == one_to(40));
    std::map<std::string, std::vector<sensors::LedgerState>> lives;
    sensors::LedgerReader reader;
    std::ifstream file{path};
    std::ostringstream text;
    text << file.rdbuf();
    REQUIRE(reader
                .feed(
                    text.str(),
                    [&](const sensors::LedgerEntry& entry) {
                        lives[std::string{entry.vehicle} + ' ' + std::to_string(entry.seq)]
                            .push_back(entry.state);
                    }
                )
                .has_value());
    CHECK(lives.size() == 120);
    using enum sensors::LedgerState;
    for (const auto& [reading, life] : lives) {
        CHECK(life == std::vector{sampled, published, acknowledged});
    }
}

TEST_CASE("fleet: the same seed and start give the same payloads, at any speed", "[fleet]") {
    FleetSettings settings = quick();
    settings.start = Timestamp{1'795'393'770'000};
    settings.rate = 50;
    settings.duration = 2s;
    settings.speed = 50;
    const auto payloads_of = [&] {
        Gateway gateway;
        CHECK(run(settings, gateway).acknowledged == 300);
        return gateway.payloads;
    };
    const auto first = payloads_of();
    CHECK(first.at(0).find("\"seq\":1,\"ts\":1795393770000,") != std::string::npos);
    settings.speed = 200;
    CHECK(payloads_of() == first);
    settings.seed = 2;
    CHECK(payloads_of() != first);
    settings.seed = 1;
    settings.start = Timestamp{1'795'393'770'001};
    CHECK(payloads_of() != first);
}

TEST_CASE("fleet: names have four digits or as many as they need", "[fleet]") {
    CHECK(vehicle_name("V", 0, 10) == "V0001");
    CHECK(vehicle_name("bus-", 9, 10) == "bus-0010");
    CHECK(vehicle_name("V", 0, 10'000) == "V00001");
}

TEST_CASE(
    "fleet: TLS that does not fit ends it at once, unless a vehicle was connected",
    "[fleet]"
) {
    constexpr TlsFailure lasting = 0x0a000086;  // certificate verify failed
    for (const TlsFailure failure : {lasting, closed_in_handshake()}) {
        Gateway gateway;
        gateway.failing_connects = 1;
        gateway.tls_failure = failure;
        Inbox inbox{-1};
        auto settings = quick();
        settings.gateway = "gw:8883";
        Fleet fleet{settings, Ledger{}, inbox, [&](auto vehicle, const auto&) {
                        return std::make_unique<ScriptedLink>(gateway, inbox, vehicle);
                    }};
        const auto tally = fleet.run({Progress::Style::none, false});
        REQUIRE(tally.has_value());
        const bool is_over = failure == lasting;
        CHECK(fleet.refusal() == (is_over ? "gw:8883: TLS: certificate verify failed" : ""));
        CHECK(gateway.received.empty() == is_over);
    }
}
