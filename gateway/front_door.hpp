#pragma once

#include "gateway/bridges.hpp"
#include "gateway/clock_sync.hpp"
#include "gateway/commit_pace.hpp"
#include "gateway/group_share.hpp"
#include "gateway/ingest/intake.hpp"
#include "gateway/listener/listener.hpp"
#include "storage/base/ack_token.hpp"
#include "storage/log/log.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <optional>
#include <span>
#include <string_view>

namespace milepost {

// Where the sockets and the log meet: publishes go in, durable groups come back as acks. Rooms do
// not know each other; this is the one place that does. Thread: the network's.
class FrontDoor final : public listener::Events, public storage::GroupListener {
public:
    // Two commits begin at least `commit_interval` apart: 0, as soon as the disk is free; more,
    // fewer and larger groups, for flash that wears.
    FrontDoor(boost::asio::io_context& io, ClockSync clock, Duration commit_interval)
        : timer_(io)
        , clock_(clock)
        , pace_(commit_interval)
        , has_interval_(commit_interval > Duration::zero()) {}

    // Before the listener starts; all three outlive the last call.
    void attach(storage::Log& log, ingest::Intake& intake, listener::Listener& listener);

    // The second door, with counters of its own; both outlive the last call too.
    void attach_bridges(Bridges& bridges, ingest::Intake& intake);

    // From the sockets to the log.
    void on_turn(Timestamp now) override;
    mqtt::Taken on_publish(
        const mqtt::Publish& publish,
        std::string_view client_id,
        AckToken token,
        Bytes change
    ) override;
    void on_duplicate(const mqtt::Publish& publish, AckToken token) override;
    void on_forbidden(const mqtt::Publish& publish, AckToken token) override;
    void on_forbidden_will() override;
    bool on_change(std::string_view client_id, Bytes change, std::optional<AckToken> token)
        override;
    mqtt::Taken on_will(const listener::StoredWill& will, std::string_view client_id) override;
    [[nodiscard]] bool has_room(std::size_t bytes) const override;
    [[nodiscard]] bool wants_more() const override;
    bool on_session(const listener::SessionChange& change, std::optional<AckToken> token) override;
    void on_ride(AckToken token) override;
    void on_turn_end() override;
    void on_notice(std::string_view kind, std::string_view text) override;

    // From the disk back to the sockets.
    void on_durable(std::span<const AckToken> tokens) override;
    void on_intake(storage::IntakeState state) override;
    void on_new_ring(const ErrorCode& why) override;

private:
    void commit_when_due(bool is_committing);

    boost::asio::steady_timer timer_;
    ClockSync clock_;
    CommitPace pace_;
    GroupShare share_;
    const bool has_interval_;
    std::optional<Instant> timer_at_;  // it is armed for
    bool holds_group_ = false;         // the open group waits for its time
    bool is_disk_slow_ = false;        // the last group was written on a thread of its own
    storage::Log* log_ = nullptr;
    ingest::Intake* intake_ = nullptr;
    listener::Listener* listener_ = nullptr;
    Bridges* bridges_ = nullptr;  // null: there are none
    ingest::Intake* bridge_intake_ = nullptr;
    bool was_open_ = true;
};

}  // namespace milepost
