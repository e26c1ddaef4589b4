// What the log costs, in one process and in turns, so that all see the same disk and the same
// noise: log_bench MODE [--dir D] [--seconds S] [--rounds R] [--group G] [--partitions P] [--value
// B]
//
//   groups      acks/s of a bare write-and-sync loop, of the journal alone, of the log with
//   checkpoints partitions  the log over 64 and 256 partitions beside one backlog     the log with
//   10,000,000 records in it beside an empty one device      bytes that the device was told to
//   write a byte of payload (give it a device of its own) tail        a commit's p99 while a
//   checkpoint runs, beside one without checkpoints reader      a commit's p99 while somebody reads
//   the history in D/log at full speed recovery    how long opening takes with a full ring fill
//   makes D/log: --bytes of segments, and a ring of which --ring (a share) waits
//
// Lines `figure NAME VALUE` are for tests/bench/log.py, the others for people.
#include "storage/base/this_thread.hpp"
#include "storage/fs/posix_file_system.hpp"
#include "tests/bench/log_rig.hpp"

#include <atomic>
#include <cstdio>
#include <map>
#include <string_view>
#include <thread>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace {

using namespace milepost;
using namespace milepost::bench;
using namespace milepost::storage;

struct Options {
    std::string mode = "groups";
    std::filesystem::path dir = "log_bench.data";
    double seconds = 0.5;
    int rounds = 5;
    int partitions = 1;
    std::size_t value_bytes = 200;
    std::vector<int> groups{1, 10, 100, 1000};
    std::uint64_t bytes = gib;
    double ring = 0.5;
};

struct Figures {
    double acks_per_second = 0;
    double cpu_micros_per_ack = 0;
    double device_bytes_per_byte = 0;
    std::vector<double> commit_micros;  // rising
};

void figure(const std::string& name, double value) {
    std::printf("figure %s %.4f\n", name.c_str(), value);
    std::fflush(stdout);
}

// Runs the subject for a while.
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

struct Column {
    std::vector<double> rate, cpu, device, p50, p99, ratio;

    void add(Figures figures, double base_rate) {
        rate.push_back(figures.acks_per_second);
        cpu.push_back(figures.cpu_micros_per_ack);
        device.push_back(figures.device_bytes_per_byte);
        p50.push_back(quantile(figures.commit_micros, 0.5));
        p99.push_back(quantile(figures.commit_micros, 0.99));
        ratio.push_back(figures.acks_per_second / base_rate);
    }

    void print(const char* what) const {
        std::printf(
            "  %-10s %10.0f acks/s  ratio %.2f  %6.2f us CPU/ack  p50 %7.0f p99 %7.0f us  "
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

// What is measured is kept on the disk only as long as it is needed.
class Folder {
public:
    explicit Folder(std::filesystem::path path)
        : path_(std::move(path)) {
        std::filesystem::remove_all(path_);
        std::filesystem::create_directories(path_);
    }

    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    [[nodiscard]] std::filesystem::path operator/(const std::string& name) const {
        return path_ / name;
    }

private:
    std::filesystem::path path_;
};

void run_groups(const Options& options) {
    const Folder folder{options.dir};
    PosixFileSystem files;
    BareLoop bare{folder / "bare", options.value_bytes};
    JournalAlone alone{
        files,
        folder / "alone",
        {.partitions = options.partitions, .value_bytes = options.value_bytes}};
    WholeLog whole{
        files,
        folder / "log",
        {.partitions = options.partitions, .value_bytes = options.value_bytes}};
    for (const int group : options.groups) {
        Column of_bare;
        Column of_alone;
        Column of_whole;
        for (int round = 0; round < options.rounds; ++round) {
            const Figures base = measure(bare, group, options);
            of_bare.add(base, base.acks_per_second);
            of_alone.add(measure(alone, group, options), base.acks_per_second);
            of_whole.add(measure(whole, group, options), base.acks_per_second);
        }
        std::printf("group %d, partitions %d\n", group, options.partitions);
        of_bare.print("bare");
        of_alone.print("journal");
        of_whole.print("log");
        figure("journal/" + std::to_string(group), median(of_alone.ratio));
        figure("log/" + std::to_string(group), median(of_whole.ratio));
    }
}

void run_partitions(const Options& options) {
    const Folder folder{options.dir};
    PosixFileSystem files;
    constexpr int group = 1000;
    const std::vector<int> counts{1, 64, 256};
    std::vector<std::unique_ptr<Subject>> alone;
    std::vector<std::unique_ptr<Subject>> whole;
    for (const int count : counts) {
        const auto name = std::to_string(count);
        alone.push_back(std::make_unique<JournalAlone>(
            files,
            folder / ("alone-" + name),
            JournalAlone::Shape{.partitions = count, .value_bytes = options.value_bytes}
        ));
        whole.push_back(std::make_unique<WholeLog>(
            files,
            folder / ("log-" + name),
            WholeLog::Shape{.partitions = count, .value_bytes = options.value_bytes}
        ));
    }
    for (const auto& [what, subjects] : {std::pair{"journal", &alone}, std::pair{"log", &whole}}) {
        std::vector<Column> columns(counts.size());
        for (int round = 0; round < options.rounds; ++round) {
            double base = 0;
            for (std::size_t i = 0; i < counts.size(); ++i) {
                const Figures figures = measure(*(*subjects)[i], group, options);
                if (i == 0) base = figures.acks_per_second;
                columns[i].add(figures, base);
            }
        }
        std::printf("%s, groups of %d, partitions 1, 64, 256\n", what, group);
        for (std::size_t i = 0; i < counts.size(); ++i) {
            columns[i].print(std::to_string(counts[i]).c_str());
            if (i == 0) continue;
            const std::string prefix = std::string{"partitions-"} + what + "/";
            figure(prefix + std::to_string(counts[i]), median(columns[i].ratio));
        }
    }
}

// For a disk so slow that the commits themselves are what one counts.
void run_commits(const Options& options) {
    const Folder folder{options.dir};
    PosixFileSystem files;
    const int group = options.groups.front();
    BareLoop bare{folder / "bare", options.value_bytes};
    WholeLog whole{
        files,
        folder / "log",
        {.partitions = options.partitions, .value_bytes = options.value_bytes}};
    std::vector<double> of_bare;
    std::vector<double> of_log;
    for (int round = 0; round < options.rounds; ++round) {
        of_bare.push_back(measure(bare, group, options).acks_per_second / group);
        of_log.push_back(measure(whole, group, options).acks_per_second / group);
    }
    figure("commits/bare", median(of_bare));
    figure("commits/log", median(of_log));
}

void run_backlog(const Options& options) {
    const Folder folder{options.dir};
    PosixFileSystem files;
    constexpr int group = 100;
    constexpr int fill_group = 5000;
    constexpr std::uint64_t waiting = 10'000'000;
    const WholeLog::Shape shape{.partitions = 4, .value_bytes = options.value_bytes};
    WholeLog full{files, folder / "full", shape};
    for (std::uint64_t sent = 0; sent < waiting; sent += fill_group)
        full.step(fill_group);
    full.settle();
    Column of_empty;
    Column of_full;
    for (int round = 0; round < options.rounds; ++round) {
        // Empty again in each round.
        const Folder empty_folder{folder / "empty"};
        WholeLog empty{files, empty_folder / "log", shape};
        const Figures base = measure(empty, group, options);
        of_empty.add(base, base.acks_per_second);
        of_full.add(measure(full, group, options), base.acks_per_second);
    }
    std::printf("groups of %d, nothing and %lu records waiting\n", group, waiting);
    of_empty.print("empty");
    of_full.print("waiting");
    figure("backlog", median(of_full.ratio));
}

void run_device(const Options& options) {
    struct Case {
        std::string name;
        int partitions;
        int group;
        bool journal_alone;
    };

    PosixFileSystem files;
    for (const Case& each : {
             Case{"one a commit", 1, 1, false},
             Case{"P=16,G=10", 16, 10, false},
             Case{"P=64,G=1000", 64, 1000, false},
             Case{"journal alone,G=100", 1, 100, true},
             Case{"journal alone,G=1000", 1, 1000, true},
         }) {
        const Folder folder{options.dir};
        std::unique_ptr<Subject> subject;
        if (each.journal_alone) {
            subject = std::make_unique<JournalAlone>(
                files,
                folder / "alone",
                JournalAlone::Shape{each.partitions, options.value_bytes}
            );
        } else {
            subject = std::make_unique<WholeLog>(
                files,
                folder / "log",
                WholeLog::Shape{each.partitions, options.value_bytes}
            );
        }
        // The ring is made first, by the checkpointer's thread.
        (void)measure(*subject, each.group, options);
        const Figures figures = measure(*subject, each.group, options);
        std::printf(
            "%s: %.2f bytes a byte of payload\n",
            each.name.c_str(),
            figures.device_bytes_per_byte
        );
        std::string name = "device/" + each.name;
        std::replace(name.begin(), name.end(), ' ', '_');
        figure(name, figures.device_bytes_per_byte);
    }
}

// What a commit took, over `seconds`, as fast as they go. With checkpoints, only while one runs;
// what starts one is written in between.
std::vector<double> commit_times(WholeLog& log, int group, double seconds, bool in_checkpoints) {
    constexpr int fill_group = 2000;
    const auto runs = [&] {
        return log.log().stats().checkpoint_since_ms.value() != 0;
    };
    std::vector<double> micros;
    double measured = 0;
    while (measured < seconds * 1e6) {
        if (in_checkpoints && !runs()) {
            log.step(fill_group);
            continue;
        }
        const auto begin = Clock::now();
        log.step(group);
        micros.push_back(std::chrono::duration<double, std::micro>{Clock::now() - begin}.count());
        measured += micros.back();
        // Its ring must not come near its end: then it waits.
        const bool is_filling = log.log().stats().ring_used_bytes.value() > 40 * std::int64_t{mib};
        if (!in_checkpoints && is_filling) log.settle();
    }
    return micros;
}

void run_tail(const Options& options) {
    const Folder folder{options.dir};
    PosixFileSystem files;
    const auto shape = [&](bool checkpoints) {
        return WholeLog::Shape{options.partitions, options.value_bytes, checkpoints};
    };
    WholeLog quiet{files, folder / "quiet", shape(false)};
    WholeLog busy{files, folder / "busy", shape(true)};
    for (const int group : options.groups) {
        std::map<std::string, std::vector<double>> found;
        std::size_t counted = 0;
        for (int round = 0; round < options.rounds; ++round) {
            auto without = commit_times(quiet, group, options.seconds, false);
            auto during = commit_times(busy, group, options.seconds, true);
            counted += during.size();
            for (const auto& [name, share] : {std::pair{"p50", 0.5}, std::pair{"p99", 0.99}}) {
                found[std::string{name} + " without"].push_back(quantile(without, share));
                found[std::string{name} + " during"].push_back(quantile(during, share));
                found[name].push_back(quantile(during, share) / quantile(without, share));
            }
        }
        std::printf(
            "groups of %d, without checkpoints and during one (%zu commits)\n",
            group,
            counted
        );
        for (const auto& [name, values] : found)
            std::printf("  %-12s %8.2f\n", name.c_str(), median(values));
        figure("tail50/" + std::to_string(group), median(found["p50"]));
        figure("tail99/" + std::to_string(group), median(found["p99"]));
    }
}

// How many bytes of a file the page cache holds.
std::uint64_t cached_bytes(const std::filesystem::path& file) {
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    const std::size_t bytes = std::filesystem::file_size(file);
    std::uint64_t cached = 0;
    if (bytes > 0) {
        void* at = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
        std::vector<unsigned char> pages((bytes + 4095) / 4096);
        if (at != MAP_FAILED && ::mincore(at, bytes, pages.data()) == 0) {
            for (const unsigned char page : pages)
                cached += (page & 1U) * 4096U;
        }
        if (at != MAP_FAILED) ::munmap(at, bytes);
    }
    ::close(fd);
    return cached;
}

std::uint64_t cached_bytes(const std::vector<std::filesystem::path>& files) {
    std::uint64_t cached = 0;
    for (const auto& file : files)
        cached += cached_bytes(file);
    return cached;
}

std::vector<std::filesystem::path> segments_in(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator{folder}) {
        if (entry.path().extension() == ".log") found.push_back(entry.path());
    }
    return found;
}

// Reads whole partitions from their start, one after the other, while `go_on`; counts bytes.
void read_history(
    WholeLog& whole,
    const std::atomic<bool>& go_on,
    std::atomic<std::uint64_t>& read
) {
    (void)this_thread::ask({});
    this_thread::step_aside();  // as the thread that serves readers
    Buffer buffer;
    std::map<PartitionId, Offset> next;
    while (go_on) {
        for (const PartitionId id : whole.partitions()) {
            const auto got = must(whole.log().read(id, next[id], mib, buffer));
            next[id] = got.next;
            if (got.batches.empty()) next[id] = Offset{0};
            read += got.batches.size();
            if (!go_on) return;
        }
    }
}

void run_reader(const Options& options) {
    PosixFileSystem files;
    WholeLog whole{
        files,
        options.dir / "log",
        {.partitions = 4, .value_bytes = options.value_bytes}};
    constexpr int group = 100;
    const auto history = segments_in(options.dir / "log");
    const std::uint64_t cached_before = cached_bytes(history);
    std::atomic<std::uint64_t> read{0};
    Column of_alone;
    Column of_beside;
    std::vector<double> ratio;
    double read_seconds = 0;
    for (int round = 0; round < options.rounds; ++round) {
        Figures base = measure(whole, group, options);
        std::atomic<bool> go_on{true};
        const auto begin = Clock::now();
        std::jthread reader{[&] {
            read_history(whole, go_on, read);
        }};
        Figures beside = measure(whole, group, options);
        go_on = false;
        reader.join();
        read_seconds += std::chrono::duration<double>{Clock::now() - begin}.count();
        ratio.push_back(quantile(beside.commit_micros, 0.99) / quantile(base.commit_micros, 0.99));
        of_alone.add(base, base.acks_per_second);
        of_beside.add(beside, base.acks_per_second);
    }
    const std::uint64_t cached = cached_bytes(history);
    std::printf(
        "groups of %d, alone and beside a reader of history (%.0f MB/s)\n",
        group,
        static_cast<double>(read) / 1e6 / read_seconds
    );
    of_alone.print("alone");
    of_beside.print("reader");
    figure("reader/p99", median(ratio));
    const auto grown = cached > cached_before ? cached - cached_before : 0;
    figure("reader/cached_per_read", static_cast<double>(grown) / static_cast<double>(read));
}

// Until that share of the ring waits, and gone as by SIGKILL.
[[noreturn]] void leave_with_ring(WholeLog& whole, double share) {
    const auto& log = whole.log();
    const auto wanted = static_cast<std::int64_t>(
        share * static_cast<double>(log.config().ring_bytes)
    );
    constexpr int group = 100;
    while (log.stats().ring_used_bytes.value() < wanted && log.intake() == IntakeState::open)
        whole.step(group);
    std::fflush(stdout);
    ::_exit(0);
}

void run_fill(const Options& options) {
    PosixFileSystem files;
    std::filesystem::create_directories(options.dir);
    fill_segments(files, options.dir / "log", options.bytes, 4);
    {
        // Takes the segments over, and writes its slot.
        WholeLog first{
            files,
            options.dir / "log",
            {.partitions = 4, .value_bytes = options.value_bytes}};
        first.step(1);
        first.settle();
    }
    WholeLog whole{
        files,
        options.dir / "log",
        {.partitions = 4, .value_bytes = options.value_bytes, .checkpoints = false}};
    leave_with_ring(whole, options.ring);
}

Options parse(int argc, char** argv) {
    Options options;
    if (argc > 1) options.mode = argv[1];
    for (int i = 2; i + 1 < argc; i += 2) {
        const std::string_view key = argv[i];
        const std::string value = argv[i + 1];
        if (key == "--dir") options.dir = value;
        if (key == "--seconds") options.seconds = std::stod(value);
        if (key == "--rounds") options.rounds = std::stoi(value);
        if (key == "--partitions") options.partitions = std::stoi(value);
        if (key == "--value") options.value_bytes = std::stoul(value);
        if (key == "--group") options.groups = {std::stoi(value)};
        if (key == "--bytes") options.bytes = std::stoull(value);
        if (key == "--ring") options.ring = std::stod(value);
    }
    return options;
}

}  // namespace

int main(int argc, char** argv) {
    const std::map<std::string_view, void (*)(const Options&)> modes{
        {"groups", run_groups},
        {"partitions", run_partitions},
        {"backlog", run_backlog},
        {"commits", run_commits},
        {"device", run_device},
        {"tail", run_tail},
        {"reader", run_reader},
        {"fill", run_fill},
    };
    try {
        const Options options = parse(argc, argv);
        const auto mode = modes.find(options.mode);
        if (mode == modes.end()) {
            std::fprintf(stderr, "log_bench: no mode %s\n", options.mode.c_str());
            return 64;
        }
        // As the gateway's network thread; the checkpointer's steps back by itself.
        const this_thread::Foreground foreground{false};
        mode->second(options);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "log_bench: %s\n", error.what());
        return 1;
    }
}
