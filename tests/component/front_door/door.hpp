#pragma once

#include "gateway/front_door.hpp"
#include "gateway/listener/session_state.hpp"
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
#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

// The front door as it is wired in the product, on real sockets, over a disk that forgets, and a
// device that says what it is told to.
namespace milepost::test {

namespace asio = boost::asio;
using asio::ip::tcp;

inline constexpr auto turn_limit = std::chrono::seconds{10};

// meta.db's part: what was folded survives whatever happens to the log's disk.
class FoldingKeeper final : public storage::Keeper {
public:
    Result<void> fold(std::span<const storage::SessionDelta> deltas) override {
        const std::lock_guard guard{mutex_};
        for (const auto& delta : deltas) {
            if (delta.state.empty()) {
                states_.erase(delta.client_id);
                continue;
            }
            const Bytes change = delta.state;
            Buffer& state = states_[delta.client_id];
            state = listener::merge_session_states(state, {&change, 1});
        }
        return {};
    }

    Result<void> record(const storage::Gap&) override { return {}; }

    [[nodiscard]] std::map<std::string, Buffer> states() const {
        const std::lock_guard guard{mutex_};
        return states_;
    }

private:
    mutable std::mutex mutex_;
    std::map<std::string, Buffer> states_;
};

// A gateway's front door over a disk, and a keeper, that may outlive it.
class Door {
public:
    struct Rules {
        Duration commit_interval = Duration::zero();
        std::uint64_t ring_bytes = 1 * mib;
        storage::CommitterThread committer = storage::CommitterThread::always_inline;
        std::size_t unreleased_publishes_max = listener::Options{}.unreleased_publishes_max;
        listener::EndpointRules endpoint{};
        access::LoginLimits logins{};
        std::chrono::seconds connect_timeout = listener::Options{}.connect_timeout;
        std::function<void(listener::Options&)> change{};  // of what else the listener is told
    };

    Door(ForgetfulDisk& disk, FoldingKeeper& keeper, Rules rules)
        : door_(io, ClockSync{/*required=*/false}, rules.commit_interval)
        , keeper_(&keeper) {
        storage::LogConfig config;
        config.data_dir = "/data";
        config.ring_bytes = rules.ring_bytes;
        config.limit_bytes = 16 * std::max<std::uint64_t>(rules.ring_bytes, 4 * mib);
        config.committer = rules.committer;
        storage::RecoveryReport report;
        auto opened = storage::Log::open(
            config,
            {disk,
             *keeper_,
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
        options.endpoints = {{"127.0.0.1", 0, rules.endpoint}};
        options.logins = rules.logins;
        options.connect_timeout = rules.connect_timeout;
        options.unreleased_publishes_max = rules.unreleased_publishes_max;
        if (rules.change) rules.change(options);
        listener = *listener::Listener::open(io, options, door_);
        for (const auto& [client_id, state] : keeper_->states())
            listener->restore_session(client_id, state);
        door_.attach(*log, *intake, *listener);
        listener->start();
    }

    Door(ForgetfulDisk& disk, FoldingKeeper& keeper)
        : Door(disk, keeper, Rules{}) {}

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
        const auto end = std::chrono::steady_clock::now() + turn_limit;
        while (!condition()) {
            if (std::chrono::steady_clock::now() > end) return false;
            io.restart();
            io.run_one_for(std::chrono::milliseconds{1});
            if (commits_by_hand) log->commit();
        }
        return true;
    }

    // Turns it until the gateway has read so many bytes more, and commits nothing.
    bool turn_until_read(std::size_t bytes) {
        const bool commits = std::exchange(commits_by_hand, false);
        const auto wanted = listener->stats().received_bytes.value() + bytes;
        const bool has = turn_until([&] {
            return listener->stats().received_bytes.value() >= wanted;
        });
        commits_by_hand = commits;
        return has;
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
            const auto read = read_back(*log, id, log->positions(id).start);
            all.insert(read.values.begin(), read.values.end());
        }
        return all;
    }

    asio::io_context io{1};
    bool commits_by_hand = false;  // with an endless commit interval: turn_until() commits
    FrontDoor door_;
    FoldingKeeper* keeper_;
    std::unique_ptr<storage::Log> log;
    std::optional<ingest::Intake> intake;
    std::unique_ptr<listener::Listener> listener;
};

// A device that says what the test tells it to and remembers what it hears. Its door outlives it.
class Device {
public:
    explicit Device(Door& door)
        : door_(&door)
        , socket_(door.io) {
        socket_.connect({asio::ip::address_v4::loopback(), door.listener->ports().at(0)});
        socket_.non_blocking(true);
    }

    void send(const std::string& bytes) { asio::write(socket_, asio::buffer(bytes)); }

    // Sends `bytes` again and again, as far as the gateway takes them, and reads nothing.
    void floods(std::string bytes) {
        socket_.set_option(asio::socket_base::receive_buffer_size{4096});
        flood_ = std::move(bytes);
    }

    void floods_on() {
        ErrorCode ignored;
        while (true) {
            const auto rest = asio::buffer(flood_) + flooded_;
            const std::size_t sent = socket_.write_some(rest, ignored);
            flooded_ = (flooded_ + sent) % flood_.size();
            if (ignored || sent == 0) return;
        }
    }

    // Everything that has arrived so far.
    const std::string& heard() {
        std::array<char, 4096> buffer{};
        ErrorCode error;
        const std::size_t got = socket_.read_some(asio::buffer(buffer), error);
        if (!error) heard_.append(buffer.data(), got);
        if (error == asio::error::eof || error == asio::error::connection_reset) is_closed_ = true;
        return heard_;
    }

    // Forgets what it has heard.
    void forget() { heard_.clear(); }

    bool hears(const std::string& bytes) {
        return door_->turn_until([&] { return heard().find(bytes) != std::string::npos; });
    }

    // Waits for `bytes` and forgets what came up to them.
    bool takes(const std::string& bytes) {
        if (!hears(bytes)) return false;
        heard_.erase(0, heard_.find(bytes) + bytes.size());
        return true;
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
    std::string flood_;
    std::size_t flooded_ = 0;
    bool is_closed_ = false;
};

}  // namespace milepost::test
