#include "tests/crash/crash_model.hpp"

#include "storage/format/record_batch.hpp"
#include "tests/support/seeded_random.hpp"

#include <algorithm>
#include <charconv>

namespace milepost::test {

using namespace storage;

namespace {

constexpr std::size_t value_bytes_max = 12'000;
constexpr std::size_t pool_bytes = std::size_t{1} << 20U;

std::optional<std::uint64_t> number_in(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

}  // namespace

// Mostly small, now and then of several blocks. A part of one pool of random bytes: they do not
// compress, so that segments grow, and are told apart by where they lie in it.
Bytes CrashModel::value(std::uint64_t number) {
    static const Buffer pool = [] {
        Buffer bytes(pool_bytes);
        SeededRandom random{1};
        for (std::size_t at = 0; at < pool_bytes; at += 8)
            store_little(bytes.data() + at, random.next());
        return bytes;
    }();
    SeededRandom random{number};
    const std::size_t most = random.chance(1, 16) ? value_bytes_max : 900;
    const std::size_t bytes = 8 + random.below(most - 8);
    return Bytes{pool}.subspan(random.below(pool_bytes - bytes), bytes);
}

AckToken CrashModel::next_token() const {
    AckToken token;
    token.received_micros = static_cast<std::uint32_t>(sent_.size());
    return token;
}

void CrashModel::appended(std::size_t partition, std::uint64_t number) {
    auto& records = partitions_[partition].records;
    records.push_back(number);
    sent_.push_back({partition, records.size(), nullptr, 0});
}

void CrashModel::appended_session(const std::string& client, std::uint64_t state) {
    Session& session = sessions_[client];
    session.sent = state;
    sent_.push_back({0, 0, &session, state});
}

void CrashModel::acknowledged(std::span<const AckToken> tokens) {
    for (const AckToken& token : tokens) {
        const Sent& sent = sent_[token.received_micros];
        if (sent.session != nullptr) {
            sent.session->acknowledged = sent.state;
            continue;
        }
        Partition& model = partitions_[sent.partition];
        model.acknowledged = std::max(model.acknowledged, sent.end);
    }
}

std::optional<std::string> CrashModel::check_report(const RecoveryReport& report) {
    if (!report.gaps.empty()) return "a gap was reported";
    for (const std::string& note : report.notes) {
        for (const char* rot : {"cannot be read any more", "a rotten batch", "journal: frame "}) {
            if (note.find(rot) != std::string::npos) return "rot was reported";
        }
    }
    return std::nullopt;
}

std::optional<std::string> CrashModel::check(
    Log& log,
    const std::vector<PartitionId>& ids,
    const CrashKeeper::State& kept,
    std::size_t read_bytes
) {
    sent_.clear();
    for (std::size_t i = 0; i < partitions_.size(); ++i) {
        auto wrong = check_start(log.positions(ids[i]), log.name(ids[i]), kept, partitions_[i]);
        if (!wrong) wrong = check_partition(log, ids[i], partitions_[i], read_bytes);
        if (wrong) {
            return "partition " + std::to_string(i) + ": " + *wrong;
        }
    }
    return std::nullopt;
}

void CrashModel::journal_is_lost() {
    for (Partition& partition : partitions_)
        partition.start = Offset{0};
}

std::optional<std::string> CrashModel::check_start(
    const Positions& positions,
    const TopicPartition& name,
    const CrashKeeper::State& kept,
    Partition& model
) {
    if (positions.start < model.start) return "what was removed is there again";
    model.start = positions.start;
    std::vector<std::pair<Offset, Offset>> lost;
    for (const Gap& gap : kept.entries) {
        if (gap.partition != name) continue;
        if (gap.end > positions.start) return "a removal that was entered was not done";
        lost.emplace_back(gap.first, gap.end);
    }
    std::sort(lost.begin(), lost.end());
    Offset explained = model.forwarded;
    for (const auto& [first, end] : lost) {
        if (first <= explained) explained = std::max(explained, end);
    }
    if (positions.start > explained) return "readings went that nobody had confirmed";
    return std::nullopt;
}

std::optional<std::string> CrashModel::check_partition(
    Log& log,
    PartitionId id,
    Partition& model,
    std::size_t read_bytes
) {
    const Positions positions = log.positions(id);
    const auto durable = static_cast<std::size_t>(positions.durable.value());
    if (durable < model.acknowledged) {
        return "acknowledged readings are missing: " + std::to_string(durable) + " of " +
               std::to_string(model.acknowledged);
    }
    if (durable < model.visible) return "readings that were seen are missing";
    if (durable > model.records.size()) return "more than was written";
    for (Offset next = positions.start; next < positions.durable;) {
        const auto read = log.read(id, next, read_bytes, batches_);
        if (!read || read->next <= next) return "reading stops";
        if (auto wrong = check_batches(read->batches, model, next)) return wrong;
    }
    model.records.resize(durable);
    model.acknowledged = durable;
    model.visible = durable;
    return std::nullopt;
}

std::optional<std::string> CrashModel::check_batches(
    Bytes batches,
    const Partition& model,
    Offset& next
) {
    while (!batches.empty()) {
        const auto header = check_batch(batches);
        if (!header) return "a reader got a bad batch";
        auto cursor = RecordCursor::open(batches, *header, scratch_);
        if (!cursor) return "a reader got a bad batch";
        while (true) {
            const auto record = cursor->next();
            if (!record) return "a reader got a bad record";
            if (!record->has_value()) break;
            if ((*record)->offset < next) continue;
            if ((*record)->offset != next) return "a hole";
            const std::uint64_t number = model.records[static_cast<std::size_t>(next.value())];
            if (!same_bytes((*record)->value.value_or(Bytes{}), value(number))) {
                return "other bytes than were written";
            }
            ++next;
        }
        batches = batches.subspan(header->total_bytes);
    }
    return std::nullopt;
}

// The keeper has the state that was acknowledged last, or one that was sent later.
std::optional<std::string> CrashModel::check_sessions(const CrashKeeper::State& kept) {
    for (const auto& [client, text] : kept.sessions) {
        if (!sessions_.contains(client) || !number_in(text)) return "a session nobody sent";
    }
    for (auto& [client, session] : sessions_) {
        const auto found = kept.sessions.find(client);
        const std::uint64_t state = found == kept.sessions.end()
                                        ? 0
                                        : number_in(found->second).value_or(0);
        if (state < session.acknowledged) return "an acknowledged session is missing";
        if (state > session.sent) return "a session that was not sent";
        session = {.acknowledged = state, .sent = state};
    }
    return std::nullopt;
}

}  // namespace milepost::test
