// The front door as it is wired in the product, on real sockets and a disk that forgets what was
// not synced: what a PUBACK is worth.
#include "gateway/front_door.hpp"

#include "storage/log/disk_log.hpp"
#include "tests/support/forgetful_disk.hpp"
#include "tests/support/log_parts.hpp"
#include "tests/support/matchers.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace milepost {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using storage::IntakeState;
using test::DiskCall;
using test::ForgetfulDisk;

constexpr auto limit = std::chrono::seconds{10};

// A gateway's front door over a disk that may outlive it.
class Door {
public:
    explicit Door(ForgetfulDisk& disk, Duration commit_interval = Duration::zero())
        : door_(io, ClockSync{/*required=*/false}, commit_interval) {
        storage::LogConfig config;
        config.data_dir = "/data";
        config.ring_bytes = 1 * mib;
        config.limit_bytes = 64 * mib;
        config.committer = storage::CommitterThread::always_inline;
        storage::RecoveryReport report;
        auto opened = storage::Log::open(
            config,
            {disk,
             keeper_,
             door_,
             [this](auto task) {
                 asio::post(io, std::move(task));
             }},
            report
        );
        REQUIRE(opened);
        log = std::move(*opened);
        std::vector<ingest::BoundRoute> routes;
        for (const auto& spec : ingest::shipped_routes()) {
            auto route = std::get<ingest::Route>(ingest::Route::compile(spec));
            routes.push_back({std::move(route), log->ensure_topic(spec.topic, 4).value()});
        }
        intake.emplace(*log, std::move(routes), ingest::Intake::Limits{});
        listener::Options options;
        options.endpoints = {{"127.0.0.1", 0}};
        listener = std::move(*listener::Listener::open(io, options, door_));
        std::map<std::string, Buffer> states;
        for (const auto& delta : report.sessions)
            states[delta.client_id] = delta.state;
        for (const auto& [client_id, state] : states)
            listener->restore_session(client_id, state);
        door_.attach(*log, *intake, *listener);
        listener->start();
    }

    ~Door() {
        io.restart();
        listener->close_all();
        log.reset();
    }

    Door(const Door&) = delete;
    Door& operator=(const Door&) = delete;

    // Turns the event loop until `condition` holds; false when the limit is reached.
    template <class Condition>
    bool turn_until(Condition condition) {
        const auto end = std::chrono::steady_clock::now() + limit;
        while (!condition()) {
            if (std::chrono::steady_clock::now() > end) return false;
            io.restart();
            io.run_one_for(std::chrono::milliseconds{1});
        }
        return true;
    }

    // Turns the loop for as long as it has something to do.
    void turn_until_idle() {
        do {
            io.restart();
        } while (io.poll() > 0);
    }

    // All values in the log.
    std::multiset<std::string> values() {
        std::multiset<std::string> all;
        for (const auto id : log->partitions()) {
            const auto read = test::read_back(*log, id, log->positions(id).start);
            all.insert(read.values.begin(), read.values.end());
        }
        return all;
    }

    asio::io_context io{1};
    test::RecordingKeeper keeper_;
    FrontDoor door_;
    std::unique_ptr<storage::Log> log;
    std::optional<ingest::Intake> intake;
    std::unique_ptr<listener::Listener> listener;
};

// A device that says what the test tells it to and remembers what it hears.
class Device {
public:
    explicit Device(Door& door)
        : door_(&door)
        , socket_(door.io) {
        socket_.connect({asio::ip::address_v4::loopback(), door.listener->ports().at(0)});
        socket_.non_blocking(true);
    }

    void send(const std::string& bytes) { asio::write(socket_, asio::buffer(bytes)); }

    // Everything that has arrived so far.
    const std::string& heard() {
        std::array<char, 4096> buffer{};
        ErrorCode error;
        const std::size_t got = socket_.read_some(asio::buffer(buffer), error);
        if (!error) heard_.append(buffer.data(), got);
        if (error == asio::error::eof || error == asio::error::connection_reset) is_closed_ = true;
        return heard_;
    }

    bool hears(const std::string& bytes) {
        return door_->turn_until([&] { return heard().find(bytes) != std::string::npos; });
    }

    bool is_closed() {
        return door_->turn_until([&] {
            heard();
            return is_closed_;
        });
    }

    void connect(const std::string& id, bool clean, bool expect_present = false) {
        send(connect_packet(id, clean));
        REQUIRE(hears(std::string{"\x20\x02", 2} + (expect_present ? '\1' : '\0') + '\0'));
    }

    void publish(std::uint16_t packet_id, const std::string& value, bool retain = false) {
        send(publish_packet(packet_id, value, retain));
    }

    static std::string connect_packet(const std::string& id, bool clean) {
        std::string body{"\0\4MQTT\4", 7};
        body += clean ? '\2' : '\0';
        body += std::string{"\0\0\0", 3} + static_cast<char>(id.size()) + id;
        return std::string{"\x10"} + static_cast<char>(body.size()) + body;
    }

    static std::string publish_packet(
        std::uint16_t packet_id,
        const std::string& value,
        bool retain
    ) {
        const std::string topic = "vehicles/V1/telemetry";
        std::string body = std::string{"\0", 1} + static_cast<char>(topic.size()) + topic;
        body += static_cast<char>(packet_id >> 8U);
        body += static_cast<char>(packet_id & 0xFFU);
        body += value;
        return std::string{retain ? "\x33" : "\x32"} + static_cast<char>(body.size()) + body;
    }

    static std::string puback(std::uint16_t packet_id) {
        std::string bytes{"\x40\x02", 2};
        bytes += static_cast<char>(packet_id >> 8U);
        bytes += static_cast<char>(packet_id & 0xFFU);
        return bytes;
    }

private:
    Door* door_;
    tcp::socket socket_;
    std::string heard_;
    bool is_closed_ = false;
};

}  // namespace

TEST_CASE("front door: what has its PUBACK survives a power cut", "[front_door]") {
    ForgetfulDisk disk{GENERATE(1U, 2U, 3U)};
    std::multiset<std::string> acked;
    {
        Door door{disk};
        Device device{door};
        device.connect("dev", /*clean=*/true);
        for (std::uint16_t i = 1; i <= 20; ++i) {
            const std::string value = "reading-" + std::to_string(i);
            device.publish(i, value);
            REQUIRE(device.hears(Device::puback(i)));
            acked.insert(value);
        }
        disk.power_cut();
    }
    Door door{disk};
    CHECK(door.values() == acked);
}

// The alarm works: with a disk whose sync says "done" and keeps nothing, the test above would fail.
TEST_CASE("front door: without the sync a power cut loses what was acknowledged", "[front_door]") {
    std::size_t lost = 0;
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        ForgetfulDisk disk{seed};
        {
            Door door{disk};
            Device device{door};
            device.connect("dev", /*clean=*/true);
            disk.fail(DiskCall::overwrite, 1, {.for_ever = true, .lies = true});
            disk.fail(DiskCall::sync, 1, {.for_ever = true, .lies = true});
            for (std::uint16_t i = 1; i <= 5; ++i) {
                device.publish(i, "reading");
                REQUIRE(device.hears(Device::puback(i)));
            }
            disk.power_cut();
        }
        disk.clear_faults();
        Door door{disk};
        lost += 5 - door.values().size();
    }
    CHECK(lost > 0);
}

TEST_CASE("front door: after a failed sync no PUBACK leaves, and intake says why", "[front_door]") {
    ForgetfulDisk disk;
    Door door{disk};
    Device device{door};
    device.connect("dev", /*clean=*/true);
    device.publish(1, "before");
    REQUIRE(device.hears(Device::puback(1)));
    disk.fail(DiskCall::overwrite, 1, {.for_ever = true});
    for (std::uint16_t i = 2; i <= 10; ++i)
        device.publish(i, "after");
    REQUIRE(door.turn_until([&] { return door.log->intake() == IntakeState::sync_failed; }));
    door.turn_until_idle();
    CHECK(device.heard().find(Device::puback(2)) == std::string::npos);
    CHECK(door.log->intake_reason().find("durable") != std::string::npos);
    CHECK(door.values() == std::multiset<std::string>{"before"});
}

TEST_CASE("front door: acks leave in the order of the publishes", "[front_door]") {
    ForgetfulDisk disk;
    Door door{disk};
    Device device{door};
    device.connect("dev", /*clean=*/true);
    std::string burst;
    std::string acks;
    for (std::uint16_t i = 1; i <= 200; ++i) {
        burst += Device::publish_packet(i, "x", /*retain=*/false);
        acks += Device::puback(i);
    }
    device.send(burst);
    CHECK(device.hears(acks));
}

TEST_CASE("front door: a stuck device does not delay another", "[front_door]") {
    ForgetfulDisk disk;
    Door door{disk};
    Device stuck{door};
    stuck.connect("stuck", /*clean=*/true);
    std::string half = Device::publish_packet(1, std::string(90, 'x'), /*retain=*/false);
    half.resize(half.size() / 2);
    stuck.send(half);
    Device other{door};
    other.connect("other", /*clean=*/true);
    other.publish(7, "y");
    CHECK(other.hears(Device::puback(7)));
}

TEST_CASE("front door: a kept session is present after a power cut", "[front_door]") {
    ForgetfulDisk disk;
    {
        Door door{disk};
        Device device{door};
        device.connect("kept", /*clean=*/false, /*expect_present=*/false);
        disk.power_cut();
    }
    Door door{disk};
    Device device{door};
    device.connect("kept", /*clean=*/false, /*expect_present=*/true);
}

TEST_CASE("front door: the same client id again closes the first connection", "[front_door]") {
    ForgetfulDisk disk;
    Door door{disk};
    Device first{door};
    first.connect("twin", /*clean=*/true);
    Device second{door};
    second.connect("twin", /*clean=*/true);
    CHECK(first.is_closed());
    second.publish(1, "still here");
    CHECK(second.hears(Device::puback(1)));
    CHECK(door.listener->stats().takeovers.value() == 1);
}

TEST_CASE("front door: a QoS 2 publish closes the connection", "[front_door]") {
    ForgetfulDisk disk;
    Door door{disk};
    Device device{door};
    device.connect("dev", /*clean=*/true);
    std::string publish = Device::publish_packet(1, "x", /*retain=*/false);
    publish[0] = '\x34';
    device.send(publish);
    CHECK(device.is_closed());
    CHECK(door.values().empty());
}

TEST_CASE(
    "front door: bytes that are no MQTT cost their connection and nothing else",
    "[front_door]"
) {
    ForgetfulDisk disk;
    Door door{disk};
    Device hostile{door};
    hostile.send("GET / HTTP/1.1\r\n\r\n");
    CHECK(hostile.is_closed());
    Device device{door};
    device.connect("dev", /*clean=*/true);
    device.publish(1, "x");
    CHECK(device.hears(Device::puback(1)));
}

TEST_CASE("front door: a full ring holds acks back until a checkpoint frees it", "[front_door]") {
    ForgetfulDisk disk;
    Door door{disk};
    Device device{door};
    device.connect("dev", /*clean=*/true);
    // 1 MiB of ring, a block a commit: it laps several times, and nothing is lost on the way.
    for (int i = 0; i < 1000; ++i) {
        const auto id = static_cast<std::uint16_t>(i % 60000 + 1);
        device.publish(id, "lap-" + std::to_string(i));
        REQUIRE(device.hears(Device::puback(id)));
    }
    CHECK(door.values().size() == 1000);
}

TEST_CASE("front door: a commit interval makes fewer, larger groups", "[front_door]") {
    ForgetfulDisk disk;
    Door door{disk, std::chrono::milliseconds{300}};
    Device device{door};
    device.connect("dev", /*clean=*/true);
    device.publish(1, "at once");
    REQUIRE(device.hears(Device::puback(1)));
    for (std::uint16_t i = 2; i <= 5; ++i) {
        device.publish(i, "together");
        door.turn_until_idle();
    }
    REQUIRE(device.hears(Device::puback(5)));
    CHECK(door.log->stats().groups.value() == 2);
}

}  // namespace milepost
