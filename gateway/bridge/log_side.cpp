#include "gateway/bridge/log_side.hpp"

#include "gateway/listener/content_hash.hpp"
#include "gateway/mqtt/decode.hpp"
#include "gateway/mqtt/frame_reader.hpp"

#include <utility>

namespace milepost::bridge {

namespace {

constexpr std::size_t paho_lane = 0;
constexpr std::size_t own_lane = 1;
// The packet id of a token that answers nobody: it brings the count of accepted records back, its
// low half, when they are durable.
constexpr std::uint16_t counting = 3;
constexpr std::size_t mqtt_packet_bytes_max = 268'435'460;

}  // namespace

LogSide::LogSide(
    Wiring wiring,
    std::string_view name,
    std::string client_id,
    Peer peer,
    Stats& stats
)
    : wiring_(std::move(wiring))
    , row_key_(row_key(name))
    , client_id_(std::move(client_id))
    , peer_(peer)
    , stats_(&stats)
    , session_(Bytes{}, peer)
    , lanes_{
          Lane{[this] {
              wiring_.post([this] { look(paho_lane); });
          }},
          Lane{[this] {
              wiring_.post([this] { look(own_lane); });
          }}} {}

void LogSide::set_number(std::size_t number) {
    connection_ = connection_first + static_cast<std::uint32_t>(number);
}

void LogSide::restore(Bytes state) {
    session_ = BrokerSession{state, peer_};
    accepted_ = session_.accepted();
}

void LogSide::note_new_log() {
    session_.note_new_log();
    accepted_ = 0;
}

// The givers --------------------------------------------------------------------------------------

// What is no PUBLISH as the protocol has it is dropped: Paho acknowledges it whatever is said here.
void LogSide::give_packet(Bytes packet, mqtt::ProtocolLevel level) {
    const auto framed = mqtt::read_frame(packet, mqtt_packet_bytes_max);
    mqtt::Publish publish;
    const bool is_publish = framed.status == mqtt::FrameStatus::whole &&
                            framed.frame.type() == mqtt::PacketType::publish;
    if (!is_publish || mqtt::decode_publish(framed.frame, level, publish) != mqtt::Errc::none ||
        publish.topic.empty()) {
        stats_->malformed.add();
        wiring_.notice("malformed", "the broker sent a PUBLISH that is none: it is not written");
        return;
    }
    lanes_[paho_lane].crossing.give(publish);
}

void LogSide::give_release(mqtt::PacketId packet_id) {
    lanes_[paho_lane].crossing.give(Release{packet_id});
}

void LogSide::give_filters(const Filters& filters) {
    lanes_[own_lane].crossing.give(&filters);
}

std::vector<mqtt::PacketId> LogSide::unreleased() const {
    const std::lock_guard lock{mutex_};
    return session_.unreleased();
}

Filters LogSide::filters() const {
    const std::lock_guard lock{mutex_};
    return session_.filters();
}

// The network thread ------------------------------------------------------------------------------

void LogSide::look(std::size_t number) {
    Lane& lane = lanes_[number];
    const Item* item = lane.is_in_group ? nullptr : lane.crossing.waiting();
    if (item == nullptr) return;
    AckToken token;
    token.connection = connection_;
    token.generation = ++lane.generation;
    token.packet_id = static_cast<std::uint16_t>(number + 1);
    wiring_.begin_turn();
    const Answer answer = std::visit([&](const auto& given) { return take(given, token); }, *item);
    lane.is_put_off = answer == Answer::later;
    waits_for_log_ = lanes_[paho_lane].is_put_off || lanes_[own_lane].is_put_off;
    lane.is_in_group = answer == Answer::when_durable;
    if (answer == Answer::done) return lane.crossing.finish();
    // May bring the token back before it returns.
    wiring_.end_turn();
}

LogSide::Answer LogSide::take(const mqtt::Publish& publish, AckToken token) {
    if (publish.qos == mqtt::Qos::exactly_once) return take_qos_2(publish, token);
    const auto taken = write(publish, token, std::nullopt);
    if (taken == mqtt::Taken::later) return Answer::later;
    stats_->received.add();
    if (publish.qos == mqtt::Qos::at_most_once) {
        wiring_.end_turn();
        return Answer::done;
    }
    if (publish.dup) stats_->redelivered.add();
    return Answer::when_durable;
}

LogSide::Answer LogSide::take_qos_2(const mqtt::Publish& publish, AckToken token) {
    const listener::Remembered sent{
        .hash = listener::content_hash(publish.topic, publish.payload),
        .packet_id = publish.ticket.packet_id};
    if (session_.has(sent)) {
        stats_->received.add();
        stats_->duplicates.add();
        wiring_.intake.duplicate(publish, token);
        return Answer::when_durable;
    }
    if (write(publish, token, sent) == mqtt::Taken::later) return Answer::later;
    stats_->received.add();
    return Answer::when_durable;
}

mqtt::Taken LogSide::write(
    const mqtt::Publish& publish,
    AckToken token,
    const std::optional<listener::Remembered>& sent
) {
    const Buffer change = session_.accepted_change(sent);
    const auto taken = wiring_.intake.publish(publish, client_id_, token, change, row_key_);
    if (taken != mqtt::Taken::yes) return taken;
    {
        const std::lock_guard lock{mutex_};
        session_.note_accepted(sent);
    }
    AckToken count;
    count.connection = connection_;
    count.packet_id = counting;
    count.generation = static_cast<std::uint32_t>(session_.accepted());
    wiring_.log.append_token(count);
    return taken;
}

LogSide::Answer LogSide::take(Release release, AckToken token) {
    if (!session_.waits(release.packet_id)) return Answer::done;
    if (!change(session_.released_change(release.packet_id), token)) return Answer::later;
    const std::lock_guard lock{mutex_};
    session_.note_released(release.packet_id);
    return Answer::when_durable;
}

LogSide::Answer LogSide::take(const Filters* filters, AckToken token) {
    const Buffer bytes = session_.filters_change(*filters);
    if (bytes.empty()) return Answer::done;
    if (!change(bytes, token)) return Answer::later;
    const std::lock_guard lock{mutex_};
    session_.note_filters(*filters);
    return Answer::when_durable;
}

bool LogSide::change(const Buffer& change, AckToken token) {
    return wiring_.log.append_change({row_key_, change}, token).has_value();
}

void LogSide::acked(const AckToken& token) {
    if (token.connection != connection_) return;
    if (token.packet_id == counting) {
        accepted_ += token.generation - static_cast<std::uint32_t>(accepted_.load());
        return;
    }
    Lane& lane = lanes_[token.packet_id - 1U];
    if (!lane.is_in_group || token.generation != lane.generation) return;
    lane.is_in_group = false;
    lane.crossing.finish();
}

// Not from here: a commit may be what called.
void LogSide::retry() {
    if (!waits_for_log_) return;
    wiring_.post([this] {
        look(paho_lane);
        look(own_lane);
    });
}

void LogSide::park() {
    for (Lane& lane : lanes_)
        lane.crossing.park();
}

}  // namespace milepost::bridge
