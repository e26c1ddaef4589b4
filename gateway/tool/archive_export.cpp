// `milepost export --format archive`.
#include "gateway/tool/append_file.hpp"
#include "gateway/tool/archive_file.hpp"
#include "gateway/tool/archive_source.hpp"
#include "gateway/tool/commands.hpp"
#include "gateway/tool/failure.hpp"
#include "gateway/tool/progress.hpp"
#include "gateway/tool/replay_plan.hpp"
#include "gateway/tool/replay_state.hpp"
#include "gateway/tool/stop_signal.hpp"
#include "gateway/tool/write_behind.hpp"
#include "storage/base/units.hpp"
#include "storage/fs/posix_file_system.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>

namespace milepost::tool {

namespace {

constexpr Duration settle_pause = std::chrono::seconds{1};

class ArchiveExport {
public:
    explicit ArchiveExport(const ReplayOptions& options)
        : options_(options)
        , state_file_(options.resume.empty() ? options.to + ".state" : options.resume) {}

    int run() {
        is_resumed_ = take_up_state(state_file_, options_.selection, state_);
        if (state_.is_done) {
            fmt::print(
                stderr,
                "milepost: {} says that this is done already\n",
                state_file_.string()
            );
            return exit_good;
        }
        open();
        listen_for_stop();
        const bool is_whole = write();
        if (is_whole) append_archive_end(state_.count, text_);
        settle(is_whole);
        progress_.clear();
        if (is_whole) return exit_good;
        fmt::print(
            stderr,
            "milepost: stopped behind {} records; the same command goes on\n",
            state_.count
        );
        return exit_run_time;
    }

private:
    void open() {
        log_ = open_source(options_.source);
        const auto status = log_->status();
        const auto identity = identity_of(options_, status);
        const auto plan = plan_of(options_, "log " + status.log_id, identity);
        check_plan(state_, plan, state_file_, is_resumed_);
        const auto positions = is_resumed_ ? state_.positions
                                           : select_positions(*log_, options_.selection);
        file_ = open_to_append(files_, options_.to, is_resumed_, state_.sink_bytes);
        writer_.emplace(*file_, state_.sink_bytes);
        const auto newest = newest_so_far();
        source_.emplace(*log_, options_.selection, positions, newest);
        if (state_.sink_bytes == 0) append_archive_head(identity, text_);
        if (is_resumed_) {
            fmt::print(stderr, "milepost: goes on behind {} records\n", state_.count);
        } else {
            state_.job = new_job_id();
            settle(false);
        }
    }

    // What is in the file is read again: the order of what follows hangs on it.
    [[nodiscard]] ArchiveSource::Newest newest_so_far() const {
        ArchiveSource::Newest newest;
        if (state_.sink_bytes == 0) return newest;
        ArchiveFile written{options_.to, state_.sink_bytes};
        ArchiveFile::Frame frame;
        while (written.next(frame)) {
            auto& known = newest.try_emplace(frame.name, INT64_MIN).first->second;
            known = std::max(known, frame.batch.max_timestamp);
        }
        return newest;
    }

    // False: told to stop.
    bool write() {
        last_settled_ = monotonic_now();
        while (const auto batch = source_->next()) {
            append_archive_frame(batch->name, batch->bytes, text_);
            state_.count += batch->records;
            at_ = batch->newest;
            source_->pass();
            if (text_.size() < write_buffer_bytes) continue;
            must(writer_->append(text_), options_.to);
            if (is_stop_asked()) return false;
            if (monotonic_now() - last_settled_ >= settle_pause) settle(false);
            if (progress_.is_due()) progress_.show_text(progress_text());
        }
        return true;
    }

    void settle(bool is_done) {
        if (!text_.empty()) must(writer_->append(text_), options_.to);
        must(writer_->sync(), options_.to);
        last_settled_ = monotonic_now();
        state_.sink_bytes = writer_->end();
        state_.positions = source_->positions();
        state_.is_done = is_done;
        save_state(state_file_, state_);
        // Nobody asked for a state: there is nothing to go on with.
        if (is_done && options_.resume.empty()) std::filesystem::remove(state_file_);
    }

    [[nodiscard]] std::string progress_text() const {
        const auto progress = source_->progress();
        const auto part = static_cast<double>(progress.done) /
                          static_cast<double>(std::max<std::uint64_t>(progress.all, 1));
        return fmt::format("{} records, at {}, {:.0f} %", state_.count, time_text(at_), 100 * part);
    }

    ReplayOptions options_;
    std::filesystem::path state_file_;
    Progress progress_{"export"};
    ReplayState state_;
    bool is_resumed_ = false;
    std::unique_ptr<LogSource> log_;  // outlives the source
    std::optional<ArchiveSource> source_;
    storage::PosixFileSystem files_;
    std::unique_ptr<storage::File> file_;
    std::optional<WriteBehind> writer_;
    std::string text_;
    Instant last_settled_;
    Timestamp at_;
};

}  // namespace

int export_archive(const ReplayOptions& options) {
    return ArchiveExport{options}.run();
}

}  // namespace milepost::tool
