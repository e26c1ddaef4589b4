#include "gateway/tool/reconcile_account.hpp"

#include "storage/format/crc32c.hpp"

#include <algorithm>
#include <limits>

namespace milepost::tool {

namespace {

// How far a sequence number may be ahead of the array's end and still grow it.
constexpr std::uint64_t dense_gap_max = 65'536;

void count_up(std::uint8_t& copies) {
    if (copies < std::numeric_limits<std::uint8_t>::max()) ++copies;
}

}  // namespace

Account::Vehicle& Account::vehicle(std::string_view name) {
    const auto found = vehicles_.find(name);
    return found != vehicles_.end() ? found->second : vehicles_[std::string{name}];
}

Account::Entry& Account::entry(Vehicle& vehicle, std::uint64_t seq) {
    if (seq == 0 || seq > vehicle.dense.size() + dense_gap_max) return vehicle.sparse[seq];
    if (seq <= vehicle.dense.size()) return vehicle.dense[seq - 1];
    const auto before = vehicle.dense.size();
    vehicle.dense.resize(seq);
    // What was far off when it came may be inside the array now.
    while (!vehicle.sparse.empty()) {
        const auto first = vehicle.sparse.lower_bound(before + 1);
        if (first == vehicle.sparse.end() || first->first > seq) break;
        vehicle.dense[first->first - 1] = first->second;
        vehicle.sparse.erase(first);
    }
    return vehicle.dense[seq - 1];
}

std::uint32_t Account::stream(Place place, const storage::TopicPartition& from) {
    const auto next = static_cast<std::uint32_t>(streams_.size());
    return streams_.try_emplace({place, from}, next).first->second;
}

void Account::add(const sensors::LedgerEntry& line) {
    Entry& reading = entry(vehicle(line.vehicle), line.seq);
    switch (line.state) {
        case sensors::LedgerState::sampled: reading.flags |= sampled; break;
        case sensors::LedgerState::published: reading.flags |= published; break;
        case sensors::LedgerState::acknowledged: reading.flags |= acknowledged; break;
        case sensors::LedgerState::dropped: break;
    }
}

void Account::add(Place place, const storage::TopicPartition& from, const FoundReading& found) {
    Vehicle& sender = vehicle(found.vehicle);
    Entry& reading = entry(sender, found.seq);
    // Anything that the ledger knows of it will do: its first line may be in a torn end.
    const bool is_known = (reading.flags & (sampled | published | acknowledged)) != 0;
    if (!is_known && reading.in_log == 0 && reading.upstream == 0) ++unexplained_;
    const bool is_first = (place == Place::log ? reading.in_log : reading.upstream) == 0;
    auto& highest = sender.highest[stream(place, from)];
    if (is_first && found.seq < highest) reading.flags |= out_of_order;
    highest = std::max(highest, found.seq);

    const auto hash = storage::crc32c(found.payload);
    if (reading.in_log == 0 && reading.upstream == 0) {
        reading.hash = hash;
    } else if (reading.hash != hash) {
        ++unexplained_;
    }
    if (place == Place::upstream) {
        count_up(reading.upstream);
        return;
    }
    // Every arrival has a time of its own: a copy with the same one did not come from outside.
    const auto received_ms = static_cast<std::uint32_t>(found.received.value());
    if (reading.in_log > 0) {
        ++(received_ms == reading.received_ms ? duplicated_in_log_ : duplicated_by_vehicle_);
    }
    reading.received_ms = received_ms;
    count_up(reading.in_log);
}

void Account::add_foreign(Place place) {
    ++(place == Place::log ? foreign_in_log_ : foreign_upstream_);
}

void Account::count(const Entry& reading, bool waits, Figures& figures) const {
    const auto one_if = [](bool is) {
        return is ? std::uint64_t{1} : std::uint64_t{0};
    };
    figures.sampled += one_if((reading.flags & sampled) != 0);
    figures.published += one_if((reading.flags & published) != 0);
    figures.acknowledged += one_if((reading.flags & acknowledged) != 0);
    figures.out_of_order += one_if((reading.flags & out_of_order) != 0);
    figures.logged += one_if(reading.in_log > 0);
    bool is_kept = reading.in_log > 0;
    if (has_upstream_) {
        *figures.forwarded += one_if(reading.upstream > 0);
        // A log that has let go of what was forwarded had at least one copy.
        const int copies_in_log = std::max<int>(reading.in_log, 1);
        *figures.duplicated_upstream += static_cast<std::uint64_t>(
            std::max(0, reading.upstream - copies_in_log)
        );
        is_kept = reading.upstream > 0 || (waits && is_kept);
    }
    figures.lost += one_if((reading.flags & acknowledged) != 0 && !is_kept);
}

Figures Account::figures(bool waits) const {
    Figures figures;
    if (has_upstream_) {
        figures.forwarded = 0;
        figures.duplicated_upstream = 0;
    }
    for (const auto& [name, sender] : vehicles_) {
        for (const auto& reading : sender.dense)
            count(reading, waits, figures);
        for (const auto& [seq, reading] : sender.sparse)
            count(reading, waits, figures);
    }
    figures.duplicated_by_vehicle = duplicated_by_vehicle_;
    figures.duplicated_in_log = duplicated_in_log_;
    // What the log has, the upstream has again.
    figures.unexplained = unexplained_ + std::max(foreign_in_log_, foreign_upstream_);
    return figures;
}

bool is_broken(const Figures& figures, bool exactly_once) {
    return figures.lost > 0 || figures.out_of_order > 0 ||
           (exactly_once && figures.duplicated_upstream.value_or(0) > 0);
}

}  // namespace milepost::tool
