#include "firmware-sim/fleet.hpp"

#include "firmware-sim/random.hpp"
#include "storage/base/check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

namespace milepost::fleet {

namespace {

using sensors::LedgerState;

constexpr std::chrono::seconds idle_wait{3600};
constexpr std::chrono::milliseconds sampling_pause{1};
constexpr std::chrono::seconds goodbye_wait{1};
constexpr std::chrono::seconds connect_patience{30};  // a link gives up by itself before
constexpr std::size_t name_digits_min = 4;

// One seed for each vehicle.
std::uint64_t seed_of(std::uint64_t seed, std::uint64_t index) {
    return Random{seed + index * 0x9e3779b97f4a7c15U}.next();
}

std::uint64_t samples_of(const FleetSettings& settings) {
    if (settings.duration.count() == 0) return std::numeric_limits<std::uint64_t>::max();
    const double each = std::round(
        std::chrono::duration<double>(settings.duration).count() * settings.rate
    );
    return settings.vehicles * static_cast<std::uint64_t>(each);
}

const Firmware* firmware_of(const FleetSettings& settings, std::uint32_t index) {
    const auto& releases = settings.firmware;
    return releases.empty() ? nullptr : releases[index % releases.size()];
}

}  // namespace

std::string vehicle_name(const std::string& prefix, std::uint32_t index, std::uint32_t count) {
    const std::size_t digits = std::max(name_digits_min, fmt::formatted_size("{}", count));
    return fmt::format("{}{:0{}}", prefix, index + 1, digits);
}

Fleet::Fleet(const FleetSettings& settings, Ledger ledger, Inbox& inbox, MakeLink make_link)
    : settings_(settings)
    , ledger_(std::move(ledger))
    , inbox_(&inbox)
    , make_link_(std::move(make_link))
    , sample_distance_s_(1 / (settings.rate * settings.vehicles))
    , samples_total_(samples_of(settings))
    , clock_(settings.start.value_or(wall_now()), settings.speed) {
    if (!settings_.route) settings_.route = std::make_shared<const Route>();
    settings_.drive.trace = settings_.trace.get();
    tally_.vehicles = settings.vehicles;
    members_.reserve(settings.vehicles);
    for (std::uint32_t i = 0; i < settings.vehicles; ++i)
        add_member(i);
}

void Fleet::add_member(std::uint32_t index) {
    const std::string name = vehicle_name(settings_.id_prefix, index, settings_.vehicles);
    auto id = sensors::VehicleId::parse(name);
    MILEPOST_CHECK(id.has_value());
    const std::uint64_t seed = seed_of(settings_.seed, index);
    std::unique_ptr<Link> link = make_link_(index, name);
    RadioLink* radio = nullptr;
    if (settings_.scenario) {
        auto through_air =
            std::make_unique<RadioLink>(std::move(link), index, seed + 5, settings_.speed, *inbox_);
        radio = through_air.get();
        link = std::move(through_air);
    }
    members_.push_back({
        .vehicle =
            Vehicle{
                *settings_.route,
                {
                    .id = std::move(*id),
                    .seed = seed,
                    .first_seq = ledger_.last_seq(name) + 1,
                    .readings_max = settings_.buffer_readings,
                    .flash_max = settings_.flash_readings,
                    .firmware = firmware_of(settings_, index),
                    .has_own_rates = settings_.has_own_rates,
                    .has_rtc = settings_.has_rtc,
                    .drive = settings_.drive,
                }},
        .link = std::move(link),
        .radio = radio,
        .backoff = Backoff{seed + 1},
        .first_published = {},
    });
}

Result<Tally> Fleet::run(Progress progress) {
    started_ = monotonic_now();
    clock_.begin(started_);
    play_until(Duration::zero());
    // All at once: a further client of an idle Paho waits for its poll of a second.
    for (std::uint32_t i = 0; i < settings_.vehicles; ++i)
        connect(i, started_);
    for (Instant now = started_; !is_over(now); now = monotonic_now()) {
        if (inbox_->wait_until(next_deadline(progress))) stop(monotonic_now());
        now = monotonic_now();
        inbox_->take(events_);
        for (const LinkEvent& event : events_)
            handle(event);
        sample_due(now);
        play_until(clock_.elapsed(now));
        turn_radios(now);
        retry_due(now);
        if (!is_sampling() && drain_until_ == Instant::max()) {
            drain_until_ = now + settings_.drain;
        }
        MILEPOST_TRY(ledger_.flush_if_due(now));
        tally_.seconds = std::chrono::duration<double>(now - started_).count();
        std::fputs(progress.say(std::exchange(messages_, {})).c_str(), stderr);
        std::fputs(progress.show(tally_, online_, now).c_str(), stderr);
    }
    std::fputs(progress.end().c_str(), stderr);
    MILEPOST_TRY(ledger_.flush());
    say_goodbye();
    return tally_;
}

bool Fleet::is_over(Instant now) const {
    if (is_aborted_) return true;
    return !is_sampling() && (tally_.outstanding == 0 || now >= drain_until_);
}

Duration Fleet::due(std::uint64_t sample) const {
    const std::chrono::duration<double> after{static_cast<double>(sample) * sample_distance_s_};
    return std::chrono::duration_cast<Duration>(after);
}

Instant Fleet::next_deadline(const Progress& progress) const {
    Instant next = monotonic_now() + idle_wait;
    // A large fleet's readings are taken some at a time: a wait for each would cost more than it.
    if (is_sampling())
        next = std::min(
            next,
            std::max(clock_.moment(due(next_sample_)), last_sampled_ + sampling_pause)
        );
    if (!retries_.empty()) next = std::min(next, retries_.top().first);
    if (!radio_turns_.empty()) next = std::min(next, radio_turns_.top().first);
    return std::min({next, next_step(), drain_until_, ledger_.next_flush(), progress.next()});
}

// The first request ends the sampling, the second one everything.
void Fleet::stop(Instant now) {
    if (!is_sampling()) is_aborted_ = true;
    samples_total_ = next_sample_;
    drain_until_ = std::min(drain_until_, now + settings_.drain);
}

void Fleet::sample_due(Instant now) {
    if (!is_sampling() || !is_due(next_sample_, now)) return;
    last_sampled_ = now;
    const Timestamp wall = wall_now();
    for (; is_sampling() && is_due(next_sample_, now); ++next_sample_) {
        play_until(due(next_sample_));
        const auto index = static_cast<std::uint32_t>(next_sample_ % settings_.vehicles);
        sample(index, clock_.stamp(due(next_sample_)), wall);
    }
}

void Fleet::sample(std::uint32_t index, Timestamp simulated, Timestamp wall) {
    Member& member = members_[index];
    const Vehicle::Sampled sampled = member.vehicle.sample(simulated);
    if (sampled.seq == 0) return;
    if (sampled.spoiling != Spoiling::none) return send_spoiled(member, sampled, wall);
    ++tally_.sampled;
    ++tally_.outstanding;
    note(member, sampled.seq, LedgerState::sampled, wall);
    if (sampled.dropped) {
        ++tally_.dropped_buffer_full;
        drop(member, *sampled.dropped, "buffer_full", wall);
    }
    pump(member);
}

// The reading is dropped, in the books; what it was spoiled to goes out once, if there is a
// connection.
void Fleet::send_spoiled(Member& member, const Vehicle::Sampled& sampled, Timestamp wall) {
    ++tally_.sampled;
    ++tally_.outstanding;
    ++tally_.dropped_spoiled;
    note(member, sampled.seq, LedgerState::sampled, wall);
    const bool is_cut = sampled.spoiling == Spoiling::truncated;
    drop(member, sampled.seq, is_cut ? "spoiled_truncated" : "spoiled_garbage", wall);
    if (member.state != LinkState::online) return;
    if (member.link->publish(sampled.seq, sampled.instead)) ++tally_.spoiled_sent;
    if (member.radio != nullptr) watch_radio(index_of(member));
}

// Hands to the network what may go.
void Fleet::pump(Member& member) {
    if (member.state != LinkState::online) return;
    publish_waiting(member);
    if (member.radio == nullptr) return;
    member.radio->resume();
    watch_radio(index_of(member));
}

void Fleet::publish_waiting(Member& member) {
    while (const Outbox::Entry* const entry = member.vehicle.next_publish()) {
        if (!member.link->publish(entry->seq, entry->payload)) return;
        const std::uint64_t seq = entry->seq;
        if (!member.vehicle.mark_published()) continue;
        ++tally_.published;
        member.first_published.emplace_back(seq, monotonic_now());
        note(member, seq, LedgerState::published, wall_now());
    }
}

void Fleet::handle(const LinkEvent& event) {
    Member& member = members_[event.vehicle];
    switch (event.kind) {
        case LinkEventKind::connected:
            if (member.state == LinkState::online || member.off_until > event.at) return;
            member.state = LinkState::online;
            if (member.radio != nullptr && !event.session_present) member.radio->forget_held();
            ++online_;
            has_connected_ = true;
            member.backoff.reset();
            member.vehicle.connected(event.session_present, event.window);
            break;
        case LinkEventKind::connect_failed:
            if (event.seq != 0) note_tls_failure(event.seq);
            if (member.state == LinkState::connecting) connect_later(event.vehicle, event.at);
            return;
        case LinkEventKind::lost:
            if (member.state != LinkState::online) return;
            --online_;
            ++tally_.connections_lost;
            member.vehicle.disconnected();
            if (std::exchange(member.connects_at_once, false))
                return connect(event.vehicle, event.at);
            return connect_later(event.vehicle, event.at);
        case LinkEventKind::acknowledged:
        case LinkEventKind::refused: settle(member, event); break;
        case LinkEventKind::given_back: member.vehicle.give_back(event.seq); break;
        case LinkEventKind::step: member.link->step(event); return;
        case LinkEventKind::disconnected: return;
    }
    pump(member);
}

// A vehicle tries for ever. But if none has ever been connected and TLS says why, the command line
// is wrong more likely than the gateway, and waiting does not mend it.
void Fleet::note_tls_failure(TlsFailure failure) {
    constexpr std::size_t kinds_max = 16;
    const auto& known = tls_failures_;
    if (known.size() == kinds_max || std::find(known.begin(), known.end(), failure) != known.end())
        return;
    tls_failures_.push_back(failure);
    std::string text = fmt::format("{}: TLS: {}", settings_.gateway, tls_failure_text(failure));
    if (!has_connected_ && is_lasting(failure)) {
        refusal_ = std::move(text);
        is_aborted_ = true;
    } else {
        messages_ += "milepost-fleet: " + text + '\n';
    }
}

void Fleet::settle(Member& member, const LinkEvent& event) {
    if (!member.vehicle.settle(event.seq)) return;
    auto& times = member.first_published;
    const auto published =
        std::lower_bound(times.begin(), times.end(), std::pair{event.seq, Instant::min()});
    MILEPOST_CHECK(published != times.end() && published->first == event.seq);
    const Duration latency = event.at - published->second;
    times.erase(published);
    if (event.kind == LinkEventKind::refused) {
        ++tally_.dropped_refused;
        drop(member, event.seq, fmt::format("refused_0x{:02x}", event.code), event.wall);
        return;
    }
    --tally_.outstanding;
    if (!settings_.has_acks) return;
    ++tally_.acknowledged;
    const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(latency);
    tally_.ack_latency.record(static_cast<std::uint64_t>(std::max(0L, microseconds.count())));
    note(member, event.seq, LedgerState::acknowledged, event.wall);
}

void Fleet::connect(std::uint32_t index, Instant now) {
    Member& member = members_[index];
    member.state = LinkState::connecting;
    member.connect_deadline = now + connect_patience;
    retries_.emplace(member.connect_deadline, index);
    member.link->connect();
}

void Fleet::connect_later(std::uint32_t index, Instant now) {
    members_[index].state = LinkState::offline;
    retries_.emplace(now + members_[index].backoff.next(), index);
}

void Fleet::retry_due(Instant now) {
    while (!retries_.empty() && retries_.top().first <= now) {
        const std::uint32_t index = retries_.top().second;
        retries_.pop();
        Member& member = members_[index];
        if (member.off_until > now) continue;  // tried when it has power again
        if (member.state == LinkState::offline) {
            connect(index, now);
        } else if (member.state == LinkState::connecting && member.connect_deadline <= now) {
            member.link->abandon();
            connect_later(index, now);
        }
    }
}

void Fleet::say_goodbye() {
    const Instant until = monotonic_now() + goodbye_wait;
    std::size_t awaited = online_;
    for (Member& member : members_) {
        if (member.state == LinkState::online) member.link->disconnect();
    }
    while (awaited > 0 && monotonic_now() < until) {
        if (inbox_->wait_until(until)) return;
        inbox_->take(events_);
        awaited -= std::min<std::size_t>(
            awaited,
            static_cast<std::size_t>(std::count_if(
                events_.begin(),
                events_.end(),
                [](const LinkEvent& event) { return event.kind == LinkEventKind::disconnected; }
            ))
        );
    }
}

void Fleet::note(const Member& member, std::uint64_t seq, LedgerState state, Timestamp wall) {
    ledger_.add({
        .time = wall,
        .vehicle = member.vehicle.id().text(),
        .seq = seq,
        .state = state,
        .reason = {},
    });
}

void Fleet::drop(
    const Member& member,
    std::uint64_t seq,
    const std::string& reason,
    Timestamp wall
) {
    --tally_.outstanding;
    ledger_.add({
        .time = wall,
        .vehicle = member.vehicle.id().text(),
        .seq = seq,
        .state = LedgerState::dropped,
        .reason = reason,
    });
}

}  // namespace milepost::fleet
