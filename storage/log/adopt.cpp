#include "storage/log/adopt.hpp"

#include "storage/journal/replay.hpp"
#include "storage/journal/ring.hpp"
#include "storage/log/errc.hpp"
#include "storage/log/log.hpp"
#include "storage/log/segment_name.hpp"

#include <array>
#include <cstdio>
#include <memory>
#include <utility>

namespace milepost::storage {

namespace {

constexpr const char* lock_name = "lock";

// As a start and a stop of the gateway would do: the segments then hold everything.
Result<RecoveryReport> bring_level(
    FileSystem& files,
    const std::filesystem::path& data_dir,
    Keeper& keeper,
    const AdoptOptions& options
) {
    LogConfig config;
    config.data_dir = data_dir;
    config.machine_id_hash = options.machine_id_hash;
    config.background = false;
    NobodyListens listener;
    RecoveryReport report;
    auto log = Log::open(
        std::move(config),
        {.files = files, .keeper = keeper, .listener = listener, .post = {}},
        report
    );
    if (!log) return log.error();
    if (const auto closed = (*log)->close(); !closed) return closed.error();
    return report;
}

bool needs_a_frame(const Replay& replay) {
    return !replay.slot || replay.slot->checkpoint.first_needed_sequence < replay.next_sequence;
}

}  // namespace

std::string log_id_text(std::uint64_t log_id) {
    std::array<char, 17> text{};
    (void)std::snprintf(text.data(), text.size(), "%016lx", log_id);
    return text.data();
}

std::string find_log_id(FileSystem& files, const std::filesystem::path& data_dir) {
    const auto folder = data_dir / journal_folder_name;
    const auto generations = ring_generations(files, folder);
    if (!generations || generations->empty()) return {};
    auto file = files.open(ring_path(folder, generations->back()), OpenMode::read);
    if (!file) return {};
    Buffer bytes(slots_begin);
    const auto got = (*file)->read_at(FilePosition{0}, bytes);
    if (!got) return {};
    const auto header = decode_ring_header(Bytes{bytes}.first(*got));
    return header ? log_id_text(header->log_id) : std::string{};
}

Result<void> check_rings(
    FileSystem& files,
    const std::filesystem::path& journal_folder,
    const RingHeader& newest,
    std::string& ids
) {
    const auto generations = ring_generations(files, journal_folder);
    if (!generations) return generations.error();
    for (const std::uint32_t generation : *generations) {
        if (generation >= newest.generation) continue;
        const auto path = ring_path(journal_folder, generation);
        auto file = files.open(path, OpenMode::read);
        if (!file) continue;  // a ring that failed is of no use, and no reason not to start
        const auto replay = replay_ring(**file);
        if (!replay) continue;
        if (replay->header.log_id == newest.log_id || !needs_a_frame(*replay)) continue;
        ids = path.filename().string() + " is of log " + log_id_text(replay->header.log_id) + ", " +
              ring_path(journal_folder, newest.generation).filename().string() + " of log " +
              log_id_text(newest.log_id);
        return LogErrc::foreign_ring;
    }
    return {};
}

Result<Adoption> adopt_log(
    FileSystem& files,
    const std::filesystem::path& data_dir,
    Keeper& keeper,
    const AdoptOptions& options
) {
    const auto folder = data_dir / journal_folder_name;
    const auto before = ring_generations(files, folder);
    if (!before || before->empty()) return LogErrc::not_a_log;
    const auto report = bring_level(files, data_dir, keeper, options);
    if (!report) return report.error();

    auto lock = files.lock(data_dir / lock_name);
    if (!lock) {
        const bool taken = lock.error() == boost::system::errc::operation_would_block;
        return taken ? make_error_code(LogErrc::folder_in_use) : lock.error();
    }
    const auto generations = ring_generations(files, folder);
    if (!generations) return generations.error();
    auto old = Ring::open(files, folder, generations->back());
    if (!old) return old.error();
    // A gateway that ran in between may have been killed: then it is for another try.
    if (needs_a_frame((*old)->replayed())) return LogErrc::folder_in_use;
    RingHeader header = (*old)->header();
    const std::string old_id = log_id_text(header.log_id);
    header.log_id = make_log_id();
    header.ring_key = make_ring_key();
    header.generation += 1;
    header.machine_id_hash = options.machine_id_hash;
    const std::string new_id = log_id_text(header.log_id);
    Checkpoint first = (*old)->replayed().slot->checkpoint;
    first.next_sequence = (*old)->next_sequence();
    old->reset();
    if (options.before) MILEPOST_TRY(options.before(old_id, new_id));
    const auto made = Ring::create(files, folder, header, std::move(first));
    if (!made) return made.error();
    // What cannot be removed now goes at the next start.
    (void)Ring::remove_older(files, folder, header.generation).has_error();
    return Adoption{old_id, new_id, report->is_from_elsewhere};
}

}  // namespace milepost::storage
