// What the log costs beside a bare loop that writes and syncs, in one process and in turns, so that
// both see the same disk: log_bench [--dir D] [--seconds S] [--rounds R] [--partitions P] [--value
// B] One line a size of group: acks/s of the bare loop, of the journal alone, of the whole log with
// checkpoints, and their ratios (medians over the rounds).
#include "storage/format/crc32c.hpp"
#include "storage/fs/posix_file_system.hpp"
#include "storage/log/disk_log.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <memory>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace {

using namespace milepost;
using namespace milepost::storage;
using Clock = std::chrono::steady_clock;

struct Options {
    std::filesystem::path dir = "log_bench.data";
    double seconds = 0.5;
    int rounds = 5;
    int partitions = 1;
    std::size_t value_bytes = 200;
    std::vector<int> groups{1, 10, 100, 1000};
    bool journal_only = false;
    bool recovery = false;
};

struct Figures {
    double acks_per_second = 0;
    double cpu_micros_per_ack = 0;
    double device_bytes_per_byte = 0;
    std::vector<double> commit_micros;
};

template <class T>
T must(Result<T> result) {
    if (!result) throw std::runtime_error{result.error().message()};
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

double cpu_seconds() {
    ::rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const ::timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// The device's own counter; of everybody on it.
double device_bytes(const std::filesystem::path& dir) {
    struct ::stat facts {};

    if (::stat(dir.c_str(), &facts) != 0) return 0;
    std::ifstream file{
        "/sys/dev/block/" + std::to_string(major(facts.st_dev)) + ":" +
        std::to_string(minor(facts.st_dev)) + "/stat"};
    double field = 0;
    for (int i = 0; i < 7 && file >> field; ++i) {
    }
    return field * 512;
}

std::string value_of(std::size_t bytes, int number) {
    std::string value = R"({"v":1,"vehicle":"V0001","seq":)" + std::to_string(number) +
                        R"(,"ts":1795393770318,"signals":{"Vehicle.Speed":)" +
                        std::to_string(number % 977) +
                        R"(.25,"Vehicle.CurrentLocation.Latitude":48.)" +
                        std::to_string(number * 7919 % 100000) + "}";
    value.resize(bytes, ' ');
    return value;
}

// One kind of work; step() commits one group of `group` records.
class Subject {
public:
    virtual ~Subject() = default;
    virtual void step(int group) = 0;

    virtual void settle() {}
};

class BareLoop final : public Subject {
public:
    explicit BareLoop(const Options& options)
        : value_(value_of(options.value_bytes, 1)) {
        fd_ = ::open((options.dir / "bare").c_str(), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0644);
        if (fd_ < 0) throw std::runtime_error{"open"};
        const std::vector<char> zeros(1 << 20);
        for (std::size_t at = 0; at < file_bytes; at += zeros.size()) {
            if (::pwrite(fd_, zeros.data(), zeros.size(), static_cast<off_t>(at)) < 0) {
                throw std::runtime_error{"pwrite"};
            }
        }
        ::fsync(fd_);
    }

    ~BareLoop() override { ::close(fd_); }

    BareLoop(const BareLoop&) = delete;
    BareLoop& operator=(const BareLoop&) = delete;

    void step(int group) override {
        batch_.resize(61);
        for (int i = 0; i < group; ++i) {
            append_bytes(batch_, as_bytes("12345678key-of-12-by"));
            append_bytes(batch_, as_bytes(value_));
        }
        store_big(batch_.data() + 17, crc32c(Bytes{batch_}.subspan(21)));
        if (at_ + batch_.size() > file_bytes) at_ = 0;
        if (::pwrite(fd_, batch_.data(), batch_.size(), static_cast<off_t>(at_)) < 0) {
            throw std::runtime_error{"pwrite"};
        }
        at_ += batch_.size();
        if (::fdatasync(fd_) != 0) throw std::runtime_error{"fdatasync"};
    }

private:
    static constexpr std::size_t file_bytes = 64U << 20U;

    std::string value_;
    int fd_ = -1;
    std::size_t at_ = 0;
    Buffer batch_;
};

// A wiring for the log that counts acks, with a queue for what other threads post.
class Wired : public GroupListener, public Keeper {
public:
    void on_durable(std::span<const AckToken> tokens) override { acked_ += tokens.size(); }

    void on_intake(IntakeState state) override { (void)state; }

    Result<void> fold(std::span<const SessionDelta> deltas) override {
        (void)deltas;
        return {};
    }

    Result<void> record(const Gap& gap) override {
        (void)gap;
        return {};
    }

protected:
    std::uint64_t acked_ = 0;
};

// Group, committer and ring without a checkpointer: what was durable is let go without a segment.
class JournalAlone final : public Subject, public Wired {
public:
    JournalAlone(FileSystem& files, const Options& options)
        : readers_(files)
        , group_(
              GroupLimits{.group_bytes = 4 * mib, .record_bytes = mib, .part_overhead_bytes = 300}
          ) {
        const auto folder = options.dir / "alone";
        must(files.make_directory(folder));
        ring_ = must(Ring::create(
            files,
            folder,
            RingHeader{.log_id = 1, .ring_key = 2, .ring_bytes = 64 * mib},
            Checkpoint{}
        ));
        while (ring_->prewritten_bytes() < ring_->capacity_bytes())
            must(ring_->prewrite_more());
        for (int i = 0; i < options.partitions; ++i) {
            partitions_.add(std::make_unique<Partition>(
                readers_,
                TopicPartition{.topic = "vehicle.telemetry", .partition = i},
                folder
            ));
        }
        group_.make_room(partitions_.size());
        committer_.emplace(*ring_, partitions_, stats_);
        for (int i = 0; i < 1000; ++i)
            values_.push_back(value_of(options.value_bytes, i));
    }

    void step(int group) override {
        for (int i = 0; i < group; ++i) {
            const PartitionId id{static_cast<std::uint32_t>(next_++ % partitions_.size())};
            Partition& partition = partitions_[id];
            const auto& value = values_[next_ % values_.size()];
            const auto given = must(group_.add(id, partition.appended(), view(value), AckToken{}));
            partition.set_appended(given + 1);
        }
        while (!committer_->seal(group_))
            free_ring();
        must(committer_->write());
        on_durable(committer_->tokens());
        if (ring_->used_bytes() > ring_->capacity_bytes() / 2) free_ring();
    }

    static RecordView view(const std::string& value) {
        return {
            .timestamp = Timestamp{1'795'393'770'318},
            .key = as_bytes("vehicle-0001"),
            .value = as_bytes(value),
            .headers = {}};
    }

private:
    void free_ring() {
        for (const PartitionId id : partitions_.ids()) {
            Partition& partition = partitions_[id];
            const Offset durable = partition.positions().durable;
            partition.publish_segments({{.base = Offset{0}, .next = durable, .bytes = 0}});
        }
        const auto reached = committer_->reached();
        Checkpoint checkpoint;
        checkpoint.first_needed_sequence = reached.next_sequence;
        must(ring_->write_slot(checkpoint));
        ring_->free_before(reached.next_sequence);
    }

    ReaderCache readers_;
    CommitGroup group_;
    LogStats stats_;
    PartitionSet partitions_;
    std::unique_ptr<Ring> ring_;
    std::optional<Committer> committer_;
    std::vector<std::string> values_;
    std::size_t next_ = 0;
};

class WholeLog final : public Subject, public Wired {
public:
    WholeLog(FileSystem& files, const Options& options) {
        LogConfig config;
        config.data_dir = options.dir / "log";
        RecoveryReport report;
        log_ = must(DiskLog::open_for_writing(
            config,
            {.files = files,
             .keeper = *this,
             .listener = *this,
             .post =
                 [this](std::function<void()> function) {
                     const std::lock_guard guard{mutex_};
                     posts_.push_back(std::move(function));
                     wake_.notify_all();
                 }},
            report
        ));
        ids_ = must(log_->ensure_topic("vehicle.telemetry", options.partitions));
        for (int i = 0; i < 1000; ++i)
            values_.push_back(value_of(options.value_bytes, i));
    }

    ~WholeLog() override { (void)log_->close().has_error(); }

    WholeLog(const WholeLog&) = delete;
    WholeLog& operator=(const WholeLog&) = delete;

    void step(int group) override {
        for (int i = 0; i < group; ++i) {
            const auto& value = values_[next_ % values_.size()];
            const PartitionId id = ids_[next_++ % ids_.size()];
            while (!log_->append(id, JournalAlone::view(value), AckToken{}))
                run_one_post();
        }
        sent_ += static_cast<std::uint64_t>(group);
        log_->commit();
        while (acked_ < sent_)
            run_one_post();
    }

    // Nothing of this is left to do when the others have their turn.
    void settle() override { must(log_->checkpoint_now()); }

    [[nodiscard]] const LogStats& stats() const { return log_->stats(); }

private:
    void run_one_post() {
        std::unique_lock lock{mutex_};
        wake_.wait(lock, [this] { return !posts_.empty(); });
        auto function = std::move(posts_.front());
        posts_.pop_front();
        lock.unlock();
        function();
    }

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<std::function<void()>> posts_;
    std::unique_ptr<DiskLog> log_;
    std::vector<PartitionId> ids_;
    std::vector<std::string> values_;
    std::size_t next_ = 0;
    std::uint64_t sent_ = 0;
};

Figures measure(Subject& subject, int group, const Options& options) {
    Figures figures;
    const double cpu = cpu_seconds();
    const double written = device_bytes(options.dir);
    const auto begin = Clock::now();
    const auto end = begin + std::chrono::duration<double>{options.seconds};
    std::uint64_t acks = 0;
    for (auto now = begin; now < end;) {
        subject.step(group);
        const auto after = Clock::now();
        figures.commit_micros.push_back(
            std::chrono::duration<double, std::micro>{after - now}.count()
        );
        now = after;
        acks += static_cast<std::uint64_t>(group);
    }
    const double took = std::chrono::duration<double>{Clock::now() - begin}.count();
    figures.acks_per_second = static_cast<double>(acks) / took;
    subject.settle();
    figures.cpu_micros_per_ack = (cpu_seconds() - cpu) * 1e6 / static_cast<double>(acks);
    figures.device_bytes_per_byte = (device_bytes(options.dir) - written) /
                                    (static_cast<double>(acks) *
                                     static_cast<double>(options.value_bytes));
    std::sort(figures.commit_micros.begin(), figures.commit_micros.end());
    return figures;
}

double median(std::vector<double> values) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

struct Column {
    std::vector<double> rate, cpu, device, p50, p99, ratio;

    void add(const Figures& figures, double bare_rate) {
        const auto& micros = figures.commit_micros;
        rate.push_back(figures.acks_per_second);
        cpu.push_back(figures.cpu_micros_per_ack);
        device.push_back(figures.device_bytes_per_byte);
        p50.push_back(micros[micros.size() / 2]);
        p99.push_back(micros[micros.size() * 99 / 100]);
        ratio.push_back(figures.acks_per_second / bare_rate);
    }

    void print(const char* what) const {
        std::printf(
            "  %-8s %10.0f acks/s  ratio %.2f  %6.2f us CPU/ack  p50 %7.0f p99 %7.0f us  "
            "device/byte %.2f\n",
            what,
            median(rate),
            median(ratio),
            median(cpu),
            median(p50),
            median(p99),
            median(device)
        );
    }
};

void run(const Options& options) {
    std::filesystem::remove_all(options.dir);
    std::filesystem::create_directories(options.dir);
    PosixFileSystem files;
    BareLoop bare{options};
    JournalAlone alone{files, options};
    std::unique_ptr<WholeLog> whole;
    if (!options.journal_only) whole = std::make_unique<WholeLog>(files, options);
    for (const int group : options.groups) {
        Column of_bare;
        Column of_alone;
        Column of_whole;
        for (int round = 0; round < options.rounds; ++round) {
            const Figures base = measure(bare, group, options);
            of_bare.add(base, base.acks_per_second);
            of_alone.add(measure(alone, group, options), base.acks_per_second);
            if (whole) of_whole.add(measure(*whole, group, options), base.acks_per_second);
        }
        std::printf("group %d, partitions %d\n", group, options.partitions);
        of_bare.print("bare");
        of_alone.print("journal");
        if (whole) of_whole.print("log");
        std::fflush(stdout);
    }
    whole.reset();
    std::filesystem::remove_all(options.dir);
}

// How long a start takes after a kill with a full ring.
void time_recovery(const Options& options) {
    std::filesystem::remove_all(options.dir);
    std::filesystem::create_directories(options.dir);
    PosixFileSystem files;
    Wired wired;
    LogConfig config;
    config.data_dir = options.dir / "log";
    config.background = false;
    RecoveryReport report;
    const auto open = [&] {
        report = {};
        return must(DiskLog::open_for_writing(
            config,
            {.files = files, .keeper = wired, .listener = wired, .post = {}},
            report
        ));
    };
    auto log = open();
    const auto ids = must(log->ensure_topic("vehicle.telemetry", options.partitions));
    const std::string value = value_of(options.value_bytes, 1);
    std::size_t next = 0;
    while (log->intake() == IntakeState::open) {
        for (int i = 0; i < options.groups.front(); ++i) {
            if (!log->append(ids[next++ % ids.size()], JournalAlone::view(value), {})) break;
        }
        log->commit();
    }
    log.reset();
    for (int round = 0; round < options.rounds; ++round) {
        log = open();
        std::printf(
            "open: %.1f ms, %lu frames, %lu records\n",
            std::chrono::duration<double, std::milli>{report.took}.count(),
            report.frames,
            report.records_from_journal
        );
        log.reset();
    }
    std::filesystem::remove_all(options.dir);
}

Options parse(int argc, char** argv) {
    Options options;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string key = argv[i];
        const std::string value = argv[i + 1];
        if (key == "--dir") options.dir = value;
        if (key == "--seconds") options.seconds = std::stod(value);
        if (key == "--rounds") options.rounds = std::stoi(value);
        if (key == "--partitions") options.partitions = std::stoi(value);
        if (key == "--value") options.value_bytes = std::stoul(value);
        if (key == "--group") options.groups = {std::stoi(value)};
        if (key == "--recovery") options.recovery = value == "1";
        if (key == "--journal-only") options.journal_only = value == "1";
    }
    return options;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const Options options = parse(argc, argv);
        options.recovery ? time_recovery(options) : run(options);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "log_bench: %s\n", error.what());
        return 1;
    }
}
