#include "gateway/front_door.hpp"

#include "gateway/logging.hpp"

#include <algorithm>
#include <utility>

namespace milepost {

namespace {

// What a frame takes beside its parts, and more.
constexpr std::size_t group_margin_bytes = 4096;

}  // namespace

void FrontDoor::attach(storage::Log& log, ingest::Intake& intake, listener::Listener& listener) {
    log_ = &log;
    intake_ = &intake;
    listener_ = &listener;
    if (log.intake() != storage::IntakeState::open) on_intake(log.intake());
}

void FrontDoor::attach_bridges(Bridges& bridges, ingest::Intake& intake) {
    bridges_ = &bridges;
    bridge_intake_ = &intake;
}

void FrontDoor::on_turn(Timestamp now) {
    const bool is_synced = clock_.is_synced(monotonic_now());
    intake_->set_now(now);
    intake_->set_clock_synced(is_synced);
    if (bridge_intake_ == nullptr) return;
    bridge_intake_->set_now(now);
    bridge_intake_->set_clock_synced(is_synced);
}

mqtt::Taken FrontDoor::on_publish(
    const mqtt::Publish& publish,
    std::string_view client_id,
    AckToken token,
    Bytes change
) {
    const auto taken = intake_->publish(publish, client_id, token, change);
    if (taken != mqtt::Taken::later) pace_.arrived(token);
    return taken;
}

void FrontDoor::on_duplicate(const mqtt::Publish& publish, AckToken token) {
    intake_->duplicate(publish, token);
    pace_.arrived(token);
}

void FrontDoor::on_forbidden(const mqtt::Publish& publish, AckToken token) {
    intake_->forbidden(publish, token);
}

void FrontDoor::on_forbidden_will() {
    intake_->forbidden_will();
}

bool FrontDoor::on_change(std::string_view client_id, Bytes change, std::optional<AckToken> token) {
    if (!log_->append_change({client_id, change}, token)) return false;
    if (token) pace_.arrived(*token);
    return true;
}

mqtt::Taken FrontDoor::on_will(const listener::StoredWill& will, std::string_view client_id) {
    return intake_->will({client_id, will.topic, will.payload, will.properties, will.retain, true});
}

bool FrontDoor::on_session(const listener::SessionChange& change, std::optional<AckToken> token) {
    if (change.begins_anew && !log_->append_session(change.client_id, {}, std::nullopt)) {
        return false;
    }
    return log_->append_session(change.client_id, change.state, token).has_value();
}

bool FrontDoor::has_room(std::size_t bytes) const {
    const std::size_t used = log_->open_group_bytes();
    return used == 0 || used + bytes <= log_->config().group_bytes - group_margin_bytes;
}

// A set interval takes groups as they come: what comes meanwhile keeps nobody waiting.
bool FrontDoor::wants_more() const {
    if (has_interval_) return true;
    const std::size_t most = is_disk_slow_ ? GroupShare::bytes_slow_disk : share_.bytes();
    const std::size_t share = std::min(most, log_->config().group_bytes / 2);
    return log_->open_group_bytes() < share;
}

void FrontDoor::on_ride(AckToken token) {
    log_->append_token(token);
}

void FrontDoor::on_turn_end() {
    holds_group_ = true;
    commit_when_due(log_->flight().has_value());
}

void FrontDoor::commit_when_due(bool is_committing) {
    if (!holds_group_) return;
    const Instant now = monotonic_now();
    auto due = pace_.due(is_committing, now);
    if (!due) return;  // on_durable() comes
    due = std::max(*due, log_->paced_until());
    if (*due <= now) {
        holds_group_ = false;
        pace_.committed(now);
        const std::size_t bytes = log_->open_group_bytes();
        log_->commit();
        return share_.committed(bytes, log_->paced_until() - now);
    }
    if (timer_at_ && *timer_at_ <= *due) return;  // it looks again
    timer_at_ = due;
    timer_.expires_at(*due);
    timer_.async_wait([this](ErrorCode error) {
        if (error) return;  // set anew, or the end
        timer_at_.reset();
        commit_when_due(log_->flight().has_value());
    });
}

void FrontDoor::on_notice(std::string_view kind, std::string_view text) {
    logging::limited(logging::Level::warning, kind, "{}", text);
}

void FrontDoor::on_durable(std::span<const AckToken> tokens) {
    const auto flight = log_->flight();
    is_disk_slow_ = flight.has_value();
    const Instant written = flight ? monotonic_now() : Instant{};
    listener_->acked(tokens);
    if (bridges_ != nullptr) {
        bridges_->acked(tokens);
        bridges_->retry();
    }
    if (flight) pace_.landed(tokens, *flight, written, monotonic_now());
    commit_when_due(/*is_committing=*/false);
}

void FrontDoor::on_new_ring(const ErrorCode& why) {
    logging::warning(
        "the journal could not be made durable ({}): it goes on in a new ring, nothing is lost",
        why.message()
    );
}

// A full ring comes and goes many times a second under load and is no event for people; what stays
// closed, or fails, is.
void FrontDoor::on_intake(storage::IntakeState state) {
    using storage::IntakeState;
    if (listener_ == nullptr) return;  // attach() asks
    const bool is_open = state == IntakeState::open;
    if (state == IntakeState::sync_failed || state == IntakeState::disk_reserve) {
        was_open_ = false;
        logging::error("no readings are taken in: {}", log_->intake_reason());
    } else if (is_open && !std::exchange(was_open_, true)) {
        logging::notice("readings are taken in again");
    }
    listener_->set_intake_open(is_open);
    if (is_open && bridges_ != nullptr) bridges_->retry();
}

}  // namespace milepost
