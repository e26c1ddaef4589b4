#include "firmware-sim/client_session.hpp"

#include <algorithm>
#include <utility>

namespace milepost::fleet {

namespace {

using wire::PacketType;

constexpr std::uint16_t keep_alive_s = 30;
constexpr std::uint32_t session_expiry_s = 24 * 3600;
constexpr std::uint8_t code_packet_too_large = 0x95;
constexpr std::size_t publish_overhead_max = 12;  // header, lengths, packet id, no properties

}  // namespace

ClientSession::ClientSession(const LinkSettings& settings, LinkIdentity identity)
    : settings_(&settings)
    , client_id_(std::move(identity.client_id))
    , topic_(settings.topic_prefix + '/' + identity.vehicle_id + "/telemetry") {}

void ClientSession::begin(std::string& out) {
    rest_.clear();
    is_connected_ = false;
    is_ping_awaited_ = false;
    wire::append_connect(
        {
            .version = settings_->version,
            .client_id = client_id_,
            .keep_alive_s = keep_alive_s,
            .session_expiry_s = session_expiry_s,
            .is_clean = false,
            .user = settings_->user,
            .password = settings_->password,
        },
        out
    );
}

bool ClientSession::receive(
    std::string_view bytes,
    std::string& out,
    std::vector<LinkEvent>& events
) {
    is_ping_awaited_ = false;
    // Nearly always the bytes are whole packets: no copy.
    if (!rest_.empty()) rest_ += bytes;
    std::string_view left = rest_.empty() ? bytes : std::string_view{rest_};
    for (;;) {
        const wire::Parsed parsed = wire::parse_answer(settings_->version, left);
        if (parsed.is_wrong) return false;
        if (parsed.taken == 0) break;
        left.remove_prefix(parsed.taken);
        if (!take(*parsed.answer, out, events)) return false;
    }
    rest_ = std::string{left};
    return true;
}

bool ClientSession::take(
    const wire::Answer& answer,
    std::string& out,
    std::vector<LinkEvent>& events
) {
    if (answer.type == PacketType::connack) return take_connack(answer, out, events);
    if (!is_connected_ || answer.type == PacketType::disconnect) return false;
    if (answer.type != PacketType::pingresp) take_ack(answer, out, events);
    return true;
}

bool ClientSession::take_connack(
    const wire::Answer& answer,
    std::string& out,
    std::vector<LinkEvent>& events
) {
    if (is_connected_ || answer.code != 0) return false;
    // A session that this client does not know is none.
    const bool is_resumed = answer.session_present && has_session_;
    is_connected_ = true;
    has_session_ = true;
    keep_alive_ = std::chrono::seconds{answer.keep_alive_s.value_or(keep_alive_s)};
    window_ = std::min<std::size_t>(settings_->in_flight_max, answer.receive_max);
    packet_bytes_max_ = answer.packet_bytes_max;
    if (!is_resumed) in_flight_.clear();
    for (const InFlight& entry : in_flight_)
        send(entry, /*is_dup=*/true, out);
    events.push_back({
        .kind = LinkEventKind::connected,
        .window = window_,
        .session_present = is_resumed,
    });
    return true;
}

// An answer to nothing that is in flight is none of ours: perhaps to what an earlier process sent.
void ClientSession::take_ack(
    const wire::Answer& answer,
    std::string& out,
    std::vector<LinkEvent>& events
) {
    const auto found = find(answer.packet_id);
    const bool is_refused = answer.code >= wire::refused_code_min;
    if (answer.type == PacketType::pubrec && !is_refused && settings_->qos == 2) {
        // Also for one that is not known: the gateway then forgets it.
        wire::append_pubrel(answer.packet_id, out);
        if (found != in_flight_.end()) {
            found->is_received = true;
            found->payload = {};
        }
        return;
    }
    if (found == in_flight_.end()) return;
    const bool ends = settings_->qos == 1
                          ? answer.type == PacketType::puback
                          : answer.type == PacketType::pubcomp || answer.type == PacketType::pubrec;
    if (!ends) return;
    // A PUBCOMP with a failure says that the gateway had it no more: it was taken with the PUBREC.
    const bool is_lost = is_refused && answer.type != PacketType::pubcomp;
    events.push_back({
        .kind = is_lost ? LinkEventKind::refused : LinkEventKind::acknowledged,
        .seq = found->seq,
        .code = is_lost ? answer.code : std::uint8_t{0},
    });
    in_flight_.erase(found);
}

bool ClientSession::publish(
    std::uint64_t seq,
    std::string_view payload,
    std::string& out,
    std::vector<LinkEvent>& events
) {
    if (!is_connected_ || in_flight_.size() >= window_) return false;
    if (payload.size() + topic_.size() + publish_overhead_max > packet_bytes_max_) {
        events.push_back({
            .kind = LinkEventKind::refused,
            .seq = seq,
            .code = code_packet_too_large,
        });
        return true;
    }
    const bool has_acks = settings_->qos > 0;
    in_flight_.push_back({
        .seq = seq,
        .packet_id = has_acks ? next_packet_id() : std::uint16_t{0},
        .is_received = false,
        .payload = std::string{payload},
    });
    send(in_flight_.back(), /*is_dup=*/false, out);
    return true;
}

void ClientSession::written(std::vector<LinkEvent>& events) {
    if (settings_->qos > 0) return;
    for (const InFlight& entry : in_flight_)
        events.push_back({.kind = LinkEventKind::acknowledged, .seq = entry.seq});
    in_flight_.clear();
}

void ClientSession::end() {
    is_connected_ = false;
    if (settings_->qos == 0) forget();  // nobody will say whether it arrived
}

void ClientSession::forget() {
    in_flight_.clear();
    has_session_ = false;
}

void ClientSession::ping(std::string& out) {
    is_ping_awaited_ = true;
    wire::append_pingreq(out);
}

void ClientSession::send(const InFlight& entry, bool is_dup, std::string& out) const {
    if (entry.is_received) return wire::append_pubrel(entry.packet_id, out);
    wire::append_publish(
        {
            .version = settings_->version,
            .topic = topic_,
            .payload = entry.payload,
            .packet_id = entry.packet_id,
            .qos = settings_->qos,
            .is_dup = is_dup,
        },
        out
    );
}

// The next one, from 1 on, that is not in flight: there are always some.
std::uint16_t ClientSession::next_packet_id() {
    do {
        ++last_packet_id_;
    } while (last_packet_id_ == 0 || find(last_packet_id_) != in_flight_.end());
    return last_packet_id_;
}

std::vector<ClientSession::InFlight>::iterator ClientSession::find(std::uint16_t packet_id) {
    return std::find_if(in_flight_.begin(), in_flight_.end(), [packet_id](const auto& entry) {
        return entry.packet_id == packet_id;
    });
}

}  // namespace milepost::fleet
