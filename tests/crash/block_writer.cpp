// The log on a real file system, for power cuts under it (tests/system/power_cut.py).
//
//   block_writer write DIR NOTES RECORDER [--groups N] [--no-commit-sync]
//   block_writer check DIR ACKNOWLEDGED APPENDED
//
// `write` fills a new log and notes, outside of that file system, what was appended and what was
// acknowledged, each with the size that the recorder's file had by then: what was acknowledged at
// that size must be in every state of the disk that the recorder knows from there on. `check` opens
// the folder of one such state: read only, by verify, and for writing, and goes on with it. Exit
// status 0: all as it must be; 1: not, with one line that says what; 2: it cannot run.
//
// A line of notes: begin|acked SIZE CHECKPOINTS P0,P1,P2,P3,SESSION, the next offset of each
// partition and the last state of the one session.
#include "storage/fs/posix_file_system.hpp"
#include "storage/log/disk_log.hpp"
#include "storage/log/verify.hpp"
#include "storage/meta/meta_keeper.hpp"
#include "storage/meta/schema.hpp"
#include "tests/support/log_parts.hpp"
#include "tests/support/seeded_random.hpp"

#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace {

using namespace milepost;
using namespace milepost::storage;
namespace fs = std::filesystem;

constexpr std::size_t partition_count = 4;
constexpr std::string_view topic = "power.cut";
constexpr std::string_view client = "session";
// A device of its own for each group, so that rolls, wraps and checkpoints come often.
constexpr std::uint64_t ring_bytes = 256 * kib;
constexpr std::size_t segment_bytes = 96 * kib;
constexpr std::size_t value_bytes_max = 900;

template <class T>
T must(Result<T> result, const char* what) {
    if (!result) throw std::runtime_error{std::string{what} + ": " + result.error().message()};
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// How far the log is: exclusive ends, and the session's last state.
struct Reach {
    std::array<std::int64_t, partition_count> ends{};
    std::int64_t session = 0;

    [[nodiscard]] std::string text() const {
        std::string text;
        for (const std::int64_t end : ends)
            text += std::to_string(end) + ",";
        return text + std::to_string(session);
    }

    static Reach parse(std::string_view text) {
        Reach reach;
        std::array<std::int64_t, partition_count + 1> numbers{};
        for (std::int64_t& number : numbers) {
            const auto comma = std::min(text.find(','), text.size());
            const auto [end, error] = std::from_chars(text.data(), text.data() + comma, number);
            if (error != std::errc{}) throw std::runtime_error{"no reach: " + std::string{text}};
            text.remove_prefix(std::min(comma + 1, text.size()));
        }
        std::copy_n(numbers.begin(), partition_count, reach.ends.begin());
        reach.session = numbers.back();
        return reach;
    }
};

// What a record holds follows from where it is: nothing else can appear unseen.
std::string value_at(std::size_t partition, std::int64_t offset) {
    test::SeededRandom random{static_cast<std::uint64_t>(offset) * partition_count + partition};
    std::string value = std::to_string(partition) + "/" + std::to_string(offset) + " ";
    const std::size_t bytes = value.size() + random.below(value_bytes_max);
    while (value.size() < bytes)
        value.push_back(static_cast<char>(random.next()));
    return value;
}

// The door, whose commits are written and not synced: what a power cut must show.
class NoCommitSync final : public FileSystem {
public:
    class UnsyncedFile final : public File {
    public:
        explicit UnsyncedFile(std::unique_ptr<File> file)
            : file_(std::move(file)) {}

        Result<std::size_t> read_at(FilePosition at, MutableBytes into) override {
            return file_->read_at(at, into);
        }

        Result<void> write_at(FilePosition at, Bytes bytes) override {
            return file_->write_at(at, bytes);
        }

        Result<void> overwrite_durable(FilePosition at, Bytes bytes) override {
            return file_->write_at(at, bytes);
        }

        Result<void> sync() override { return file_->sync(); }

        Result<void> truncate(std::uint64_t bytes) override { return file_->truncate(bytes); }

        Result<std::uint64_t> size() override { return file_->size(); }

        void forget_cached(FilePosition at, std::uint64_t bytes) override {
            file_->forget_cached(at, bytes);
        }

    private:
        std::unique_ptr<File> file_;
    };

    Result<std::unique_ptr<File>> open(const fs::path& path, OpenMode mode) override {
        auto file = files_.open(path, mode);
        if (!file) return file.error();
        return std::unique_ptr<File>{std::make_unique<UnsyncedFile>(std::move(*file))};
    }

    Result<void> rename(const fs::path& from, const fs::path& to) override {
        return files_.rename(from, to);
    }

    Result<void> remove(const fs::path& path) override { return files_.remove(path); }

    Result<void> make_directory(const fs::path& path) override {
        return files_.make_directory(path);
    }

    Result<std::vector<DirectoryEntry>> list(const fs::path& path) override {
        return files_.list(path);
    }

    Result<void> sync_directory(const fs::path& path) override {
        return files_.sync_directory(path);
    }

    Result<SpaceInfo> space(const fs::path& path) override { return files_.space(path); }

    Result<std::unique_ptr<FolderLock>> lock(const fs::path& path) override {
        return files_.lock(path);
    }

private:
    PosixFileSystem files_;
};

LogConfig config_of(const fs::path& dir) {
    LogConfig config;
    config.data_dir = dir;
    config.ring_bytes = ring_bytes;
    config.limit_bytes = 16 * mib;
    config.segment_bytes = segment_bytes;
    config.record_bytes = 16 * kib;
    config.committer = CommitterThread::always_inline;
    return config;
}

// A log, its keeper and its listener, and where it must be.
class Writer final : public GroupListener {
public:
    // `reach`: what is in the folder already.
    Writer(FileSystem& files, const fs::path& dir, Reach reach)
        : reached_(reach)
        , keeper_(must(open_meta(dir), "open meta.db")) {
        sessions_ = must(keeper_.sessions(), "read meta.db");
        log_ = must(
            DiskLog::open_for_writing(
                config_of(dir),
                {.files = files,
                 .keeper = keeper_,
                 .listener = *this,
                 .post =
                     [this](std::function<void()> run) {
                         posts_.post(std::move(run));
                     }},
                report_
            ),
            "open for writing"
        );
        ids_ = must(log_->ensure_topic(topic, partition_count), "ensure_topic");
    }

    ~Writer() override { (void)log_->close().has_error(); }

    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    void on_durable(std::span<const AckToken> tokens) override { acked_ += tokens.size(); }

    void on_intake(IntakeState state) override { (void)state; }

    // Up to `records` records, and in every fourth group a session; counted, not yet committed.
    void fill(test::SeededRandom& random, std::uint64_t records) {
        for (std::uint64_t i = 0; i < records; ++i) {
            const std::size_t partition = random.below(partition_count);
            const auto value = value_at(partition, reached_.ends[partition]);
            posts_.run_until([&] { return append(partition, value); });
            ++reached_.ends[partition];
        }
        if (!random.chance(1, 4)) return;
        const auto state = std::to_string(reached_.session + 1);
        posts_.run_until([&] {
            return log_->append_session(client, as_bytes(state), {}).has_value();
        });
        ++reached_.session;
    }

    // Returns when all of it is acknowledged.
    void commit() {
        const std::uint64_t wanted = acked_ + 1;
        log_->append_token({});
        log_->commit();
        posts_.run_until([&] { return acked_ >= wanted; });
    }

    void close() { must(log_->close(), "close"); }

    [[nodiscard]] const Reach& reached() const { return reached_; }

    [[nodiscard]] DiskLog& log() { return *log_; }

    [[nodiscard]] const RecoveryReport& report() const { return report_; }

    [[nodiscard]] const std::vector<SessionDelta>& sessions() const { return sessions_; }

private:
    bool append(std::size_t partition, std::string_view value) {
        return log_->append(ids_[partition], test::record("key", value), std::nullopt).has_value();
    }

    Reach reached_;
    MetaKeeper keeper_;
    std::vector<SessionDelta> sessions_;
    RecoveryReport report_;
    test::PostQueue posts_;
    std::uint64_t acked_ = 0;
    std::unique_ptr<DiskLog> log_;
    std::vector<PartitionId> ids_;
};

void write(
    const fs::path& dir,
    const fs::path& notes,
    const fs::path& recorder,
    int groups,
    bool sync
) {
    PosixFileSystem synced;
    NoCommitSync unsynced;
    FileSystem& files = sync ? static_cast<FileSystem&>(synced) : unsynced;
    fs::create_directories(dir);
    std::ofstream out{notes};
    Writer writer{files, dir, {}};
    test::SeededRandom random{1};
    const auto note = [&](const char* what, const Reach& reach) {
        out << what << ' ' << fs::file_size(recorder) << ' '
            << writer.log().stats().checkpoints.value() << ' ' << reach.text() << std::endl;
    };
    for (int group = 0; group < groups; ++group) {
        // Noted before it is so: a state of the disk may hold all of it from here on.
        writer.fill(random, 1 + random.below(12));
        note("begin", writer.reached());
        writer.commit();
        note("acked", writer.reached());
    }
    writer.close();
}

std::int64_t session_of(
    const std::vector<SessionDelta>& first,
    const std::vector<SessionDelta>& then
) {
    std::int64_t state = 0;
    for (const auto* deltas : {&first, &then}) {
        for (const SessionDelta& delta : *deltas)
            state = std::stoll(std::string{as_text(delta.state)});
    }
    return state;
}

void expect_between(
    const std::string& what,
    std::int64_t least,
    std::int64_t got,
    std::int64_t most
) {
    if (got >= least && got <= most) return;
    throw std::runtime_error{
        what + " is at " + std::to_string(got) + ", not from " + std::to_string(least) + " to " +
        std::to_string(most)};
}

// Every record from 0 on is there, once, as it was written, and none that was not.
Reach check_log(DiskLog& log, const Reach& acknowledged, const Reach& appended) {
    Reach found;
    for (std::size_t i = 0; i < partition_count; ++i) {
        const auto id = log.find(
            {.topic = std::string{topic}, .partition = static_cast<std::int32_t>(i)}
        );
        const std::string name = std::string{topic} + "-" + std::to_string(i);
        if (id) {
            const auto read = test::read_back(log, *id, Offset{0}, 64 * kib);
            for (std::size_t at = 0; at < read.values.size(); ++at) {
                const auto offset = static_cast<std::int64_t>(at);
                if (read.offsets[at] != offset || read.values[at] != value_at(i, offset)) {
                    throw std::runtime_error{name + ": another record at " + std::to_string(at)};
                }
            }
            found.ends[i] = static_cast<std::int64_t>(read.values.size());
        }
        expect_between(name, acknowledged.ends[i], found.ends[i], appended.ends[i]);
    }
    return found;
}

void expect_no_gaps(const RecoveryReport& report) {
    if (report.gaps.empty()) return;
    throw std::runtime_error{"a power cut is taken for " + report.gaps.front().reason};
}

Reach check_read_only(FileSystem& files, const fs::path& dir, const Reach& from, const Reach& to) {
    RecoveryReport report;
    const auto log = must(DiskLog::open_for_reading(dir, files, report), "open for reading");
    expect_no_gaps(report);
    Reach found = check_log(*log, from, to);
    auto meta = must(open_meta_read_only(dir), "open meta.db for reading");
    found.session = session_of(must(SessionStore{meta}.load(), "sessions"), report.sessions);
    expect_between("the session", from.session, found.session, to.session);
    return found;
}

void check(const fs::path& dir, const Reach& acknowledged, const Reach& appended) {
    PosixFileSystem files;
    Reach found = check_read_only(files, dir, acknowledged, appended);
    const auto verified =
        must(verify_folder(files, dir, {.deep = true}, [](const auto&) {}), "verify");
    if (!verified.is_sound()) throw std::runtime_error{"verify finds damage"};
    {
        // Opened for writing it has the same, and goes on from there.
        Writer writer{files, dir, found};
        expect_no_gaps(writer.report());
        found = check_log(writer.log(), found, found);
        found.session = session_of(writer.sessions(), writer.report().sessions);
        expect_between("the session", writer.reached().session, found.session, appended.session);
        test::SeededRandom random{2};
        writer.fill(random, 10);
        writer.commit();
        found = writer.reached();
        must(writer.log().checkpoint_now(), "checkpoint");
        writer.fill(random, 10);
        writer.commit();
        found = writer.reached();
        writer.close();
    }
    check_read_only(files, dir, found, found);
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    const bool writes = arguments.size() >= 4 && arguments[0] == "write";
    const bool checks = arguments.size() == 4 && arguments[0] == "check";
    if (!writes && !checks) {
        std::fprintf(
            stderr,
            "usage: block_writer write DIR NOTES RECORDER | check DIR ACKED APPENDED\n"
        );
        return 64;
    }
    try {
        if (checks) {
            check(arguments[1], Reach::parse(arguments[2]), Reach::parse(arguments[3]));
            return 0;
        }
        int groups = 400;
        bool sync = true;
        for (std::size_t i = 4; i < arguments.size(); ++i) {
            if (arguments[i] == "--no-commit-sync") sync = false;
            if (arguments[i] == "--groups") groups = std::stoi(arguments.at(i + 1));
        }
        write(arguments[1], arguments[2], arguments[3], groups, sync);
        return 0;
    } catch (const std::exception& error) {
        std::printf("%s\n", error.what());
        return 1;
    }
}
