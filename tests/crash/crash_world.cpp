#include "tests/crash/crash_world.hpp"

#include "storage/journal/ring_header.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace milepost::test {

using namespace storage;

namespace {

constexpr std::size_t partition_count = 4;
constexpr const char* topic = "vehicle.telemetry";
constexpr std::uint64_t ring_file_bytes = ring_begin + ring_bytes_min;

}  // namespace

void CrashCounts::add(const CrashCounts& other) {
    worlds += other.worlds;
    crashes += other.crashes;
    qualified += other.qualified;
    carried += other.carried;
    recovery_crashes += other.recovery_crashes;
    in_retention += other.in_retention;
    in_renewal += other.in_renewal;
    renewals += other.renewals;
    removals += other.removals;
    losses += other.losses;
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
    if (options_.lies) {
        disk_.lie_where([this](const DiskMoment& call) { return options_.lies(call, moment_); });
    }
    config_.data_dir = "/data";
    config_.limit_bytes = 1024 * mib;
    config_.ring_bytes = ring_bytes_min;
    config_.segment_bytes = (4 + random_.below(20)) * kib;
    config_.batch_bytes = (1 + random_.below(16)) * kib;
    const std::array codecs{Codec::none, Codec::lz4, Codec::lz4, Codec::zstd};
    config_.codec = codecs[random_.below(codecs.size())];
    config_.background = false;
    const std::uint64_t kind = random_.below(3);
    retains_ = kind != 0;
    if (kind == 1) config_.retention[topic].bytes = (8 + random_.below(60)) * kib;
    if (kind == 2) {
        config_.limit_bytes = log_limit_bytes_min;
        config_.full = FullPolicy::drop_oldest;
        capacity_bytes_ = ring_file_bytes + reserve_bytes(config_) +
                          (150 + random_.below(400)) * kib;
        disk_.set_capacity(capacity_bytes_);
    }
}

std::optional<std::string> CrashWorld::run() {
    ++counts_.worlds;
    for (int life = 0; life < options_.lives && violation_.empty(); ++life) {
        if (!reopen()) break;
        live();
        if (random_.chance(1, 12) && lose_the_journal()) continue;
        go_off();
    }
    if (violation_.empty()) (void)reopen();
    if (violation_.empty()) return std::nullopt;
    return "seed " + std::to_string(options_.seed) + ": " + violation_;
}

// A long life warms up before the crash is armed, and goes on until it comes, or gives up waiting.
void CrashWorld::live() {
    const bool is_early = random_.chance(1, 8);
    segments_before_ = last_segments();
    life_qualified_ = false;
    crash_in_retention_ = false;
    crash_in_renewal_ = false;
    in_retention_ = false;
    in_renewal_ = false;
    int fails_at = random_.chance(1, 4) ? static_cast<int>(random_.below(60)) : -1;
    bool is_armed = is_early;
    int groups_left = 30 + static_cast<int>(random_.below(30));
    if (is_early) arm_crash(is_early);
    if (options_.disk_faults && random_.chance(1, 6)) arm_fault();
    // Whatever faults do, it ends.
    for (int group = 0; group < 10 * options_.groups && !disk_.is_off(); ++group) {
        if (fails_at-- == 0) fail_the_ring();
        one_group();
        if (log_->intake() == IntakeState::sync_failed) break;
        if (!is_armed && is_qualified()) {
            is_armed = true;
            arm_crash(is_early);
            groups_left = static_cast<int>(random_.below(24));
        }
        if (is_armed && groups_left-- == 0) break;
    }
    if (!life_qualified_) (void)is_qualified();
    world_qualified_ = world_qualified_ || life_qualified_;
    count_life();
}

void CrashWorld::one_group() {
    const std::uint64_t count = 1 + random_.below(6);
    for (std::uint64_t i = 0; i < count; ++i) {
        if (random_.chance(1, 10)) {
            append_session();
        } else {
            append_record();
        }
    }
    if (crash_in_renewal_) {
        fail_the_ring();
        disk_.crash_at(2 + random_.below(90));
    }
    log_->commit();
    if (std::exchange(crash_in_renewal_, false)) in_renewal_ = disk_.is_off();
    const bool half = log_->stats().ring_used_bytes.value() > std::int64_t{128 * kib};
    const bool full = log_->intake() == IntakeState::ring_full;
    if (half || full || random_.chance(1, 25)) {
        (void)log_->checkpoint_now().has_error();
        if (full) log_->commit();
        if (retains_) retain();
    }
    if (retains_ && random_.chance(1, 4)) forward();
}

// As the forwarder does: what is durable, a part of it or all.
void CrashWorld::forward() {
    if (disk_.is_off()) return;
    for (std::size_t i = 0; i < partitions_.size(); ++i) {
        const Offset known = model_.forwarded(i);
        const auto more = log_->positions(partitions_[i]).durable - known;
        if (more <= 0) continue;
        const auto to = known + static_cast<std::int64_t>(
                                    random_.below(static_cast<std::uint64_t>(more) + 1)
                                );
        log_->set_forwarded(partitions_[i], to);
        model_.forwarded(i, to);
    }
}

void CrashWorld::retain() {
    if (disk_.is_off()) return;
    const bool crashes = std::exchange(crash_in_retention_, false);
    if (crashes) disk_.crash_at(1 + random_.below(16));
    const std::uint64_t removed = disk_.count(DiskCall::remove);
    const std::size_t entries = keeper_.state.entries.size();
    (void)log_->retain_now().has_error();
    counts_.removals += (disk_.count(DiskCall::remove) - removed) / 3;  // files of a segment
    counts_.losses += keeper_.state.entries.size() - entries;
    in_retention_ = disk_.is_off();
}

// A write of the journal fails, before or after the disk had it: the next commit needs a new ring.
void CrashWorld::fail_the_ring() {
    const std::size_t written = random_.chance(1, 2) ? mib : random_.below(5000);
    disk_.fail(
        DiskCall::overwrite,
        1,
        {.error = 5, .for_ever = false, .short_bytes = written, .lies = false}
    );
}

void CrashWorld::count_life() {
    counts_.groups += log_->stats().groups.value();
    counts_.records += log_->stats().records.value();
    counts_.checkpoints += log_->stats().checkpoints.value();
    counts_.journal_bytes += log_->stats().journal_bytes.value();
    counts_.renewals += log_->stats().ring_generations.value();
}

// See CrashCounts. Every partition gets a record in four of five groups.
bool CrashWorld::is_qualified() {
    const LogStats& stats = log_->stats();
    const bool old_enough = stats.groups.value() >= static_cast<std::uint64_t>(options_.groups) &&
                            stats.journal_bytes.value() >= config_.ring_bytes &&
                            stats.checkpoints.value() > 0;
    if (!old_enough) return false;
    const auto now = last_segments();
    bool rolled = false;
    for (std::size_t i = 0; i < partition_count; ++i) {
        rolled = rolled || (!segments_before_[i].empty() && now[i] > segments_before_[i]);
        if (segments_before_[i].empty()) segments_before_[i] = now[i];
    }
    life_qualified_ = rolled;
    return rolled;
}

std::array<std::string, 4> CrashWorld::last_segments() const {
    std::array<std::string, 4> last;
    for (std::size_t i = 0; i < partition_count; ++i) {
        const std::string folder = "/data/" + std::string{topic} + "-" + std::to_string(i);
        last[i] = disk_.last_name(folder, ".log");
    }
    return last;
}

// At any of the next calls, or at one of a chosen kind: the rare ones get their share. A long life
// makes only some of the kinds.
void CrashWorld::arm_crash(bool is_early) {
    if (!is_early && random_.chance(1, 6)) {
        crash_in_renewal_ = true;
        return;
    }
    if (!is_early && retains_ && random_.chance(1, 3)) {
        crash_in_retention_ = true;
        return;
    }
    if (random_.chance(1, 3)) {
        disk_.crash_at(1 + random_.below(is_early ? 400 : 60));
        return;
    }
    const std::array kinds{
        DiskCall::overwrite,
        DiskCall::write,
        DiskCall::sync,
        DiskCall::open,
        DiskCall::truncate,
        DiskCall::sync_directory,
        DiskCall::read,
        DiskCall::size};
    const DiskCall kind = kinds[random_.below(is_early ? kinds.size() : kinds.size() - 2)];
    disk_.crash_at(kind, 1 + random_.below(kind == DiskCall::write ? 16 : 8));
}

// Opens it once to see which calls that takes, puts the disk back, and chooses one of them: first
// the kind, so that the rare ones get their share.
void CrashWorld::arm_recovery_crash() {
    const DiskState before = disk_.snapshot();
    const CrashKeeper::State kept = keeper_.state;
    std::array<std::uint64_t, disk_call_count> calls{};
    for (std::size_t i = 0; i < disk_call_count; ++i)
        calls[i] = disk_.count(static_cast<DiskCall>(i));
    (void)recover_and_make();
    log_.reset();
    std::vector<DiskCall> made;
    for (std::size_t i = 0; i < disk_call_count; ++i) {
        calls[i] = disk_.count(static_cast<DiskCall>(i)) - calls[i];
        if (calls[i] > 0) made.push_back(static_cast<DiskCall>(i));
    }
    disk_.restore(before);
    keeper_.state = kept;
    if (made.empty()) return;
    const DiskCall kind = made[random_.below(made.size())];
    disk_.crash_at(kind, 1 + random_.below(calls[static_cast<std::size_t>(kind)]));
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
    fault.short_bytes = random_.chance(1, 2) ? random_.below(5000) : mib;  // or all of it
    const DiskCall call = calls[random_.below(calls.size())];
    const auto nth = 1 + random_.below(100);
    if (options_.trace)
        std::printf(
            "fault %s %lu error %d for ever %d\n",
            name(call),
            nth,
            fault.error,
            fault.for_ever
        );
    disk_.fail(call, nth, fault);
}

void CrashWorld::append_record() {
    const std::size_t at = random_.below(partition_count);
    const std::uint64_t number = next_number_++;
    const std::array headers{HeaderView{.name = "h", .value = as_bytes("v")}};
    const AckToken token = model_.next_token();
    const auto given = log_->append(
        partitions_[at],
        {.timestamp = Timestamp{1'795'000'000'000 + static_cast<std::int64_t>(number)},
         .key = as_bytes("key"),
         .value = model_.value(number),
         .headers = number % 3 == 0 ? std::span<const HeaderView>{headers}
                                    : std::span<const HeaderView>{}},
        token
    );
    if (!given) return;
    if (given->value() != model_.next(at)) violated("an offset was given that is not the next one");
    model_.appended(at, number);
}

void CrashWorld::append_session() {
    const std::string client = "client-" + std::to_string(random_.below(5));
    const std::uint64_t state = next_number_++;
    const AckToken token = model_.next_token();
    if (!log_->append_session(client, as_bytes(std::to_string(state)), token)) return;
    model_.appended_session(client, state);
}

// The power goes, if it has not yet; or only the process is killed, maybe inside that call.
void CrashWorld::go_off() {
    const auto at = disk_.crashed_at();
    ++counts_.crashes;
    if (at) ++counts_.by_call[static_cast<std::size_t>(*at)];
    if (in_retention_) ++counts_.in_retention;
    if (in_renewal_) ++counts_.in_renewal;
    if (life_qualified_) {
        ++counts_.qualified;
    } else if (world_qualified_) {
        ++counts_.carried;
    }
    if (options_.trace) {
        std::printf(
            "crash at %s, groups %lu, durable",
            at ? name(*at) : "the end",
            log_->stats().groups.value()
        );
        for (const auto id : partitions_)
            std::printf(
                " %ld/%ld",
                log_->positions(id).durable.value(),
                log_->positions(id).appended.value()
            );
        std::printf(
            " intake %d checkpoints %lu\n",
            static_cast<int>(log_->intake()),
            log_->stats().checkpoints.value()
        );
    }
    log_.reset();
    disk_.clear_faults();
    if (random_.chance(1, 4)) {
        if (options_.trace) std::printf("kill\n");
        ++counts_.kills;
        disk_.kill_process();
    } else {
        disk_.power_cut();
    }
}

// A clean stop; then both headers of the journal rot: the next start makes a new one behind the
// segments, which have everything.
bool CrashWorld::lose_the_journal() {
    if (disk_.is_off()) return false;
    disk_.clear_faults();
    if (!log_->close()) return false;
    log_.reset();
    disk_.power_cut();
    model_.journal_is_lost();
    const auto generations = ring_generations(disk_, config_.data_dir / "journal");
    if (!generations || generations->empty()) return false;
    const auto path = ring_path(config_.data_dir / "journal", generations->back());
    if (options_.trace) std::printf("journal lost %s\n", path.c_str());
    disk_.flip_bit(path, 20, 0);
    disk_.flip_bit(path, block_bytes + 20, 0);
    // The damaged one is kept, and somebody made room for another.
    if (capacity_bytes_ > 0) disk_.set_capacity(capacity_bytes_ += ring_file_bytes);
    return true;
}

// Opens the log; more than one time in ten the power goes during that, too.
bool CrashWorld::reopen() {
    int crashes = 0;
    if (random_.chance(1, 8)) arm_recovery_crash();
    while (!open() || disk_.is_off()) {  // off: at its last call
        const auto at = disk_.crashed_at();
        if (!at || ++crashes > 3) {
            violated("it does not open");
            return false;
        }
        if (options_.trace) std::printf("crash in recovery at %s\n", name(*at));
        if (crashes == 1) ++counts_.recovery_crashes;
        ++counts_.by_call[static_cast<std::size_t>(*at)];
        log_.reset();
        disk_.clear_faults();
        if (random_.chance(1, 4)) {
            disk_.kill_process();
        } else {
            disk_.power_cut();
        }
        if (crashes < 3 && random_.chance(1, 3)) arm_recovery_crash();
    }
    disk_.clear_faults();
    moment_ = Moment::life;
    if (options_.trace) {
        std::printf("open:");
        for (const auto id : partitions_)
            std::printf(" %ld", log_->positions(id).durable.value());
        for (const auto& note : report_.notes)
            std::printf("; %s", note.c_str());
        std::printf("\n");
    }
    check();
    for (std::size_t i = 0; i < partitions_.size(); ++i)
        log_->set_forwarded(partitions_[i], model_.forwarded(i));
    return violation_.empty();
}

bool CrashWorld::open() {
    log_.reset();
    report_ = {};
    return recover_and_make();
}

bool CrashWorld::recover_and_make() {
    moment_ = Moment::recovery;
    auto opened = DiskLog::open_for_writing(
        config_,
        {.files = disk_,
         .keeper = keeper_,
         .listener = listener_,
         .post =
             [](const std::function<void()>& function) {
                 function();
             }},
        report_
    );
    open_error_ = opened ? ErrorCode{} : opened.error();
    if (!opened) return false;
    log_ = std::move(*opened);
    moment_ = Moment::topics;
    const auto made = log_->ensure_topic(topic, partition_count);
    if (!made) return false;
    partitions_ = *made;
    return true;
}

void CrashWorld::check() {
    auto wrong = CrashModel::check_report(report_);
    if (!wrong) wrong = model_.check(*log_, partitions_, keeper_.state, 1 + random_.below(100'000));
    if (!wrong) wrong = model_.check_sessions(keeper_.state);
    if (wrong) violated(*wrong);
}

void CrashWorld::violated(const std::string& what) {
    if (!violation_.empty()) return;
    violation_ = what;
    for (const std::string& note : report_.notes)
        violation_ += "; " + note;
    if (open_error_) violation_ += "; " + open_error_.message();
}

}  // namespace milepost::test
