#include "gateway/tool/archive_file.hpp"
#include "gateway/tool/commands.hpp"
#include "gateway/tool/failure.hpp"
#include "gateway/tool/kafka_stream.hpp"
#include "gateway/tool/open_sink.hpp"
#include "gateway/tool/progress.hpp"
#include "gateway/tool/read_ahead.hpp"
#include "gateway/tool/record_stream.hpp"
#include "gateway/tool/replay_plan.hpp"
#include "gateway/tool/replay_state.hpp"
#include "gateway/tool/stop_signal.hpp"

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
// No wait is longer than this without a look at whether we are to stop.
// At full speed the clock is asked once in so many records.
constexpr std::uint64_t records_per_look = 256;

class Replay {
public:
    explicit Replay(const ReplayOptions& options)
        : options_(options)
        , progress_(options.is_export ? "export" : "replay") {}

    int run() {
        open_state();
        if (state_.is_done) {
            fmt::print(
                stderr,
                "milepost: {} says that this is done already\n",
                state_file_.string()
            );
            return exit_good;
        }
        open_stream();
        if (options_.dry_run) return print_plan(options_, *stream_, state_);
        open_sink();
        listen_for_stop();
        skip();
        const bool is_whole = send();
        settle(is_whole);
        if (is_whole) sink_->finish();
        progress_.clear();
        say_end(is_whole);
        return is_whole && !sink_->has_refusals() ? exit_good : exit_run_time;
    }

private:
    void open_state() {
        state_file_ = options_.resume;
        const bool to_file = is_file_sink(options_);
        if (state_file_.empty() && to_file) state_file_ = options_.to + ".state";
        if (state_file_.empty()) return;
        is_resumed_ = take_up_state(state_file_, options_.selection, state_);
    }

    void open_stream() {
        std::string source = "file " + options_.from_file;
        std::string identity;
        if (!options_.from_kafka.empty()) {
            kafka_ = open_kafka(options_.from_kafka, options_.properties);
            auto cluster = kafka_->cluster_id();
            source = "Kafka " + (cluster.empty() ? options_.from_kafka : cluster);
        } else if (options_.from_file.empty()) {
            log_ = open_source(options_.source);
            const auto status = log_->status();
            source = "log " + status.log_id;
            identity = identity_of(options_, status);
        }
        const auto plan = plan_of(options_, source, identity);
        check_plan(state_, plan, state_file_, is_resumed_);
        if (kafka_) {
            stream_ = open_kafka_stream(*kafka_, options_.selection, state_.positions);
        } else if (log_) {
            stream_ = open_log_stream(*log_, options_.selection, identity, state_.positions);
            // librdkafka alone needs all of the thread that it is given records on.
            const bool is_ahead = options_.speed.is_max() && is_kafka_sink(options_);
            if (is_ahead && !options_.dry_run) stream_ = read_ahead(std::move(stream_));
        } else if (is_archive(options_.from_file)) {
            stream_ = open_archive_stream(options_.from_file, options_.selection, state_.positions);
        } else {
            stream_ = open_file_stream(options_.from_file, options_.selection, state_.positions);
        }
    }

    void open_sink() {
        if (!is_resumed_) state_.job = new_job_id();
        if (state_file_.empty()) {
            sink_ = tool::open_sink(options_, state_, {}, is_resumed_);
            return;
        }
        sink_ = tool::open_sink(options_, state_, state_file_, is_resumed_);
        if (is_resumed_) return;
        state_.positions = stream_->positions();
        save_state(state_file_, state_);
    }

    // What the sink has taken since the state was written.
    void skip() {
        const auto taken = sink_->taken_before();
        while (state_.count < taken) {
            if (stream_->next() == nullptr) {
                throw Failure{exit_run_time, "the source has less records than were sent from it"};
            }
            stream_->pass();
            ++state_.count;
        }
        if (is_resumed_) {
            fmt::print(stderr, "milepost: goes on behind {} records\n", state_.count);
        }
    }

    // False: told to stop.
    bool send() {
        begun_ = last_settled_ = monotonic_now();
        pacer_.emplace(options_.speed, begun_, options_.gap_max);
        while (const auto* record = stream_->next()) {
            note_first(*record);
            if (!options_.speed.is_max() && !wait(pacer_->due(record->timestamp))) return false;
            at_ = record->timestamp;
            auto sent = *record;
            sent.timestamp += state_.shift_ms;
            sink_->put(sent);
            stream_->pass();
            ++state_.count;
            if (++sent_ % records_per_look != 0) continue;
            look();
            if (is_stop_asked()) return false;
        }
        return true;
    }

    // Before it is sent: what a replay that goes on has to know of its beginning.
    void note_first(const ReplayRecord& record) {
        if (!state_.first_topic.empty()) return;
        state_.first_topic = record.topic;
        if (options_.shifts_time) state_.shift_ms = wall_now() - record.timestamp;
        if (!state_file_.empty()) save_state(state_file_, state_);
    }

    bool wait(Instant due) {
        while (true) {
            const auto now = monotonic_now();
            if (due <= now) return true;
            if (is_stop_asked()) return false;
            sink_->wait_until(std::min(due, now + wait_slice));
            if (due - now > wait_slice) look();
        }
    }

    void look() {
        if (!state_file_.empty() && monotonic_now() - last_settled_ >= settle_pause &&
            settled_ != state_.count) {
            settle(false);
        }
        if (progress_.is_due()) progress_.show_text(progress_text());
    }

    void settle(bool is_done) {
        state_.sink_bytes = sink_->settle();
        last_settled_ = monotonic_now();
        settled_ = state_.count;
        if (state_file_.empty()) return;
        state_.positions = stream_->positions();
        state_.is_done = is_done;
        save_state(state_file_, state_);
        // Of a file nobody asked for a state: there is nothing to go on with.
        if (is_done && options_.resume.empty()) std::filesystem::remove(state_file_);
    }

    std::string progress_text() const {
        const auto seconds = std::chrono::duration<double>(monotonic_now() - begun_).count();
        const auto progress = stream_->progress();
        auto text = fmt::format(
            "{} records, {:.0f}/s, at {}",
            state_.count,
            static_cast<double>(sent_) / std::max(seconds, 0.001),
            time_text(at_)
        );
        if (progress.all == 0 || progress.done == 0) return text;
        const auto part = static_cast<double>(progress.done) / static_cast<double>(progress.all);
        text += fmt::format(", {:.0f} %, {} left", 100 * part, span_text(seconds / part - seconds));
        return text;
    }

    void say_end(bool is_whole) {
        const auto remark = sink_->remark();
        if (!remark.empty()) fmt::print(stderr, "milepost: {}\n", remark);
        if (!is_whole) {
            fmt::print(
                stderr,
                "milepost: stopped behind {} records{}\n",
                state_.count,
                state_file_.empty() ? "" : "; the same command goes on"
            );
        }
    }

    ReplayOptions options_;
    Progress progress_;
    std::filesystem::path state_file_;  // empty: none
    ReplayState state_;
    bool is_resumed_ = false;
    std::unique_ptr<LogSource> log_;                // outlives the stream
    std::unique_ptr<upstream::TopicReader> kafka_;  // outlives it, too
    std::unique_ptr<RecordStream> stream_;
    std::unique_ptr<ReplaySink> sink_;
    std::optional<Pacer> pacer_;
    Instant begun_;
    Instant last_settled_;
    std::uint64_t settled_ = 0;
    std::uint64_t sent_ = 0;
    Timestamp at_;
};

}  // namespace

int run(const ReplayOptions& options) {
    if (options.format == FileFormat::archive) return export_archive(options);
    return Replay{options}.run();
}

}  // namespace milepost::tool
