#include "tests/crash/crash_world.hpp"

#include "storage/format/record_batch.hpp"

#include <algorithm>
#include <cstring>

namespace milepost::test {

using namespace storage;

namespace {

constexpr std::size_t partition_count = 4;
constexpr std::size_t value_bytes_max = 12'000;

// The value of a record is made from its number alone: the number, then a pattern.
std::size_t value_bytes(std::uint64_t number) {
    const std::uint64_t mixed = SeededRandom{number}.next();
    return mixed % 16 == 0 ? 8 + mixed / 16 % (value_bytes_max - 8) : 8 + mixed / 16 % 900;
}

Buffer make_value(std::uint64_t number) {
    Buffer value(value_bytes(number), static_cast<std::byte>(number * 37));
    store_little(value.data(), number);
    return value;
}

std::optional<std::uint64_t> number_of(Bytes value) {
    if (value.size() < 8) return std::nullopt;
    const auto number = load_little<std::uint64_t>(value.data());
    if (value.size() != value_bytes(number)) return std::nullopt;
    const auto pattern = static_cast<std::byte>(number * 37);
    const bool whole = std::all_of(value.begin() + 8, value.end(), [&](std::byte byte) {
        return byte == pattern;
    });
    return whole ? std::optional{number} : std::nullopt;
}

}  // namespace

void CrashCounts::add(const CrashCounts& other) {
    worlds += other.worlds;
    crashes += other.crashes;
    recovery_crashes += other.recovery_crashes;
    kills += other.kills;
    groups += other.groups;
    records += other.records;
    checkpoints += other.checkpoints;
    journal_bytes += other.journal_bytes;
    for (std::size_t i = 0; i < by_call.size(); ++i)
        by_call[i] += other.by_call[i];
}

CrashWorld::CrashWorld(const CrashOptions& options)
    : options_(options)
    , random_(options.seed)
    , disk_(random_.next()) {
    if (random_.chance(1, 3)) disk_.set_tear(Tear::at_any_byte);
    config_.data_dir = "/data";
    config_.limit_bytes = 1024 * mib;
    config_.ring_bytes = ring_bytes_min;
    config_.segment_bytes = (8 + random_.below(56)) * kib;
    config_.batch_bytes = (1 + random_.below(16)) * kib;
    const std::array codecs{Codec::none, Codec::lz4, Codec::lz4, Codec::zstd};
    config_.codec = codecs[random_.below(codecs.size())];
    config_.background = false;
    models_.resize(partition_count);
    calls_of_a_life_.fill(40);
}

std::optional<std::string> CrashWorld::run() {
    ++counts_.worlds;
    if (!options_.lies && random_.chance(1, 8))
        disk_.crash_at(1 + random_.below(30));  // while it is made
    for (int life = 0; life < options_.lives && violation_.empty(); ++life) {
        if (!reopen()) break;
        live();
        go_off();
    }
    if (violation_.empty()) (void)reopen();
    if (violation_.empty()) return std::nullopt;
    return "seed " + std::to_string(options_.seed) + ": " + violation_;
}

void CrashWorld::live() {
    std::array<std::uint64_t, disk_call_count> before{};
    for (std::size_t i = 0; i < disk_call_count; ++i) {
        before[i] = disk_.count(static_cast<DiskCall>(i));
    }
    arm_crash();
    if (options_.disk_faults && random_.chance(1, 6)) arm_fault();
    const int groups = options_.groups + static_cast<int>(random_.below(20));
    for (int group = 0; group < groups && !disk_.is_off(); ++group) {
        fill_group();
        log_->commit();
        const bool half = log_->stats().ring_used_bytes.value() > std::int64_t{128 * kib};
        const bool full = log_->intake() == IntakeState::ring_full;
        if (half || full || random_.chance(1, 25)) {
            (void)log_->checkpoint_now().has_error();
            if (full) log_->commit();
        }
        if (log_->intake() == IntakeState::sync_failed) break;
    }
    counts_.groups += log_->stats().groups.value();
    counts_.records += log_->stats().records.value();
    counts_.checkpoints += log_->stats().checkpoints.value();
    counts_.journal_bytes += log_->stats().journal_bytes.value();
    for (std::size_t i = 0; i < disk_call_count; ++i) {
        const auto calls = disk_.count(static_cast<DiskCall>(i)) - before[i];
        if (calls > 0) calls_of_a_life_[i] = calls;
    }
}

// Half of the crashes at any call, half at a chosen kind of it: the rare ones get their share.
void CrashWorld::arm_crash() {
    crash_kind_.reset();
    if (options_.lies) return;  // at the end of the life: everything had its time
    if (random_.chance(1, 2)) {
        disk_.crash_at(1 + random_.below(400));
        return;
    }
    const auto kind = static_cast<DiskCall>(random_.below(disk_call_count));
    crash_kind_ = kind;
    const std::uint64_t often = calls_of_a_life_[static_cast<std::size_t>(kind)];
    disk_.crash_at(kind, 1 + random_.below(std::max<std::uint64_t>(often, 1)));
}

void CrashWorld::arm_recovery_crash() {
    crash_kind_.reset();
    if (options_.lies) return;
    if (random_.chance(1, 3)) {
        disk_.crash_at(1 + random_.below(60));
        return;
    }
    crash_kind_ = static_cast<DiskCall>(random_.below(disk_call_count));
    disk_.crash_at(*crash_kind_, 1 + random_.below(8));
}

void CrashWorld::count_recovery_crash() {
    ++counts_.recovery_crashes;
    if (crash_kind_) ++counts_.by_call[static_cast<std::size_t>(*crash_kind_)];
}

void CrashWorld::arm_lie() {
    if (!options_.lies) return;
    disk_.fail(*options_.lies, 1, {.error = 0, .for_ever = true, .short_bytes = 0, .lies = true});
}

void CrashWorld::arm_fault() {
    const std::array calls{
        DiskCall::write,
        DiskCall::sync,
        DiskCall::overwrite,
        DiskCall::open,
        DiskCall::truncate,
        DiskCall::sync_directory,
        DiskCall::read,
        DiskCall::remove};
    DiskFault fault;
    fault.error = random_.chance(1, 2) ? 5 : 28;  // EIO, ENOSPC
    fault.for_ever = random_.chance(1, 4);
    fault.short_bytes = random_.below(5000);
    disk_.fail(calls[random_.below(calls.size())], 1 + random_.below(60), fault);
}

void CrashWorld::fill_group() {
    const std::uint64_t count = 1 + random_.below(14);
    for (std::uint64_t i = 0; i < count; ++i) {
        if (random_.chance(1, 10)) {
            append_session();
        } else {
            append_record();
        }
    }
}

void CrashWorld::append_record() {
    const std::size_t at = random_.below(partition_count);
    Model& model = models_[at];
    const std::uint64_t number = next_record_++;
    const Buffer value = make_value(number);
    AckToken token;
    token.received_micros = static_cast<std::uint32_t>(sent_.size());
    const std::array headers{HeaderView{.name = "h", .value = as_bytes("v")}};
    const auto given = log_->append(
        partitions_[at],
        {.timestamp = Timestamp{1'795'000'000'000 + static_cast<std::int64_t>(number)},
         .key = as_bytes("key"),
         .value = value,
         .headers = number % 3 == 0 ? std::span<const HeaderView>{headers}
                                    : std::span<const HeaderView>{}},
        token
    );
    if (!given) return;
    if (given->value() != static_cast<std::int64_t>(model.records.size())) {
        violated("an offset was given that is not the next one");
    }
    model.records.push_back(number);
    sent_.push_back({.partition = at, .end = model.records.size(), .client = {}, .state = 0});
}

void CrashWorld::append_session() {
    const std::string client = "client-" + std::to_string(random_.below(5));
    const std::uint64_t state = next_record_++;
    AckToken token;
    token.received_micros = static_cast<std::uint32_t>(sent_.size());
    if (!log_->append_session(client, as_bytes(std::to_string(state)), token)) return;
    sessions_[client].sent = state;
    sent_.push_back({.partition = 0, .end = 0, .client = client, .state = state});
}

void CrashWorld::Listener::on_durable(std::span<const AckToken> tokens) {
    for (const AckToken& token : tokens) {
        const Sent& sent = world_.sent_[token.received_micros];
        if (sent.client.empty()) {
            Model& model = world_.models_[sent.partition];
            model.acknowledged = std::max(model.acknowledged, sent.end);
            continue;
        }
        world_.sessions_[sent.client].acknowledged = sent.state;
    }
}

// The power goes, if it has not yet; or only the process is killed.
void CrashWorld::go_off() {
    const bool crashed = disk_.is_off();
    const bool kill = !crashed && !options_.lies && random_.chance(1, 2);
    ++counts_.crashes;
    if (crashed && crash_kind_) ++counts_.by_call[static_cast<std::size_t>(*crash_kind_)];
    log_.reset();
    disk_.clear_faults();
    if (kill) {
        ++counts_.kills;
        disk_.kill_process();
    } else {
        disk_.power_cut();
    }
}

// Opens the log; one time in ten the power goes during that, too.
bool CrashWorld::reopen() {
    int crashes = 0;
    if (random_.chance(1, 10)) arm_recovery_crash();
    while (!open()) {
        if (!disk_.is_off() || ++crashes > 3) {
            violated("it does not open");
            return false;
        }
        count_recovery_crash();
        disk_.clear_faults();
        disk_.power_cut();
        if (crashes < 3 && random_.chance(1, 3)) arm_recovery_crash();
    }
    disk_.clear_faults();
    arm_lie();
    if (disk_.is_off()) {  // at the last call of a recovery that had succeeded
        count_recovery_crash();
        log_.reset();
        disk_.power_cut();
        if (!open()) {
            violated("it does not open");
            return false;
        }
    }
    check();
    return violation_.empty();
}

bool CrashWorld::open() {
    log_.reset();
    report_ = {};
    if (options_.lies) {
        disk_.fail(
            *options_.lies,
            1,
            {.error = 0, .for_ever = true, .short_bytes = 0, .lies = true}
        );
    }
    auto opened = DiskLog::open_for_writing(
        config_,
        {.files = disk_, .keeper = keeper_, .listener = listener_, .post = {}},
        report_
    );
    open_error_ = opened ? ErrorCode{} : opened.error();
    if (!opened) return false;
    log_ = std::move(*opened);
    const auto topic = log_->ensure_topic("vehicle.telemetry", partition_count);
    if (!topic) return false;
    partitions_ = *topic;
    return true;
}

void CrashWorld::check() {
    if (!report_.gaps.empty()) violated("a gap was reported");
    for (std::size_t i = 0; i < partition_count; ++i)
        check_partition(i);
    check_sessions();
    sent_.clear();
}

void CrashWorld::check_partition(std::size_t at) {
    Model& model = models_[at];
    const Positions positions = log_->positions(partitions_[at]);
    const auto durable = static_cast<std::size_t>(positions.durable.value());
    const std::string where = "partition " + std::to_string(at) + ": ";
    if (positions.start != Offset{0}) return violated(where + "it does not begin at 0");
    if (durable < model.acknowledged) {
        return violated(
            where + "acknowledged readings are missing: " + std::to_string(durable) + " of " +
            std::to_string(model.acknowledged)
        );
    }
    if (durable < model.visible) return violated(where + "readings that were seen are missing");
    if (durable > model.records.size()) return violated(where + "more than was written");

    Buffer buffer;
    Buffer scratch;
    Offset next{0};
    const std::size_t bytes_max = 1 + random_.below(100'000);
    while (next < positions.durable) {
        const auto read = log_->read(partitions_[at], next, bytes_max, buffer);
        if (!read || read->next <= next) return violated(where + "reading stops");
        for (Bytes rest = read->batches; !rest.empty();) {
            const auto header = check_batch(rest);
            if (!header) return violated(where + "a reader got a bad batch");
            auto cursor = RecordCursor::open(rest, *header, scratch);
            if (!cursor) return violated(where + "a reader got a bad batch");
            while (true) {
                const auto record = cursor->next();
                if (!record) return violated(where + "a reader got a bad record");
                if (!record->has_value()) break;
                if ((*record)->offset < next) continue;
                if ((*record)->offset != next) return violated(where + "a hole");
                const auto number = number_of((*record)->value.value());
                if (number != model.records[static_cast<std::size_t>(next.value())]) {
                    return violated(where + "other bytes than were written");
                }
                ++next;
            }
            rest = rest.subspan(header->total_bytes);
        }
    }
    model.records.resize(durable);
    model.acknowledged = durable;
    model.visible = durable;
}

// The keeper has the state that was acknowledged last, or one that was sent later.
void CrashWorld::check_sessions() {
    for (auto& [client, session] : sessions_) {
        const auto kept = keeper_.sessions.find(client);
        const std::uint64_t state = kept == keeper_.sessions.end() ? 0 : std::stoull(kept->second);
        if (state < session.acknowledged) violated("an acknowledged session is missing");
        if (state > session.sent) violated("a session that was not sent");
        session = {.acknowledged = state, .sent = state};
    }
}

void CrashWorld::violated(const std::string& what) {
    if (!violation_.empty()) return;
    violation_ = what;
    for (const std::string& note : report_.notes)
        violation_ += "; " + note;
    if (open_error_) violation_ += "; " + open_error_.message();
}

}  // namespace milepost::test
