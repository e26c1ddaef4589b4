#include "tests/bench/log_rig.hpp"

#include "storage/format/batch_builder.hpp"
#include "storage/format/crc32c.hpp"
#include "storage/journal/ring_header.hpp"
#include "storage/log/segment_name.hpp"
#include "storage/log/segment_writer.hpp"
#include "tests/support/wait_until.hpp"

#include <algorithm>
#include <fstream>
#include <random>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace milepost::bench {

using namespace storage;

namespace {

constexpr int values = 1000;  // different ones, in turn
constexpr std::size_t bare_file_bytes = 64U << 20U;
constexpr const char* topic = "vehicle.telemetry";

std::vector<std::string> make_values(std::size_t bytes) {
    std::vector<std::string> made;
    for (int i = 0; i < values; ++i)
        made.push_back(value_of(bytes, i));
    return made;
}

}  // namespace

std::string value_of(std::size_t bytes, int number) {
    std::string value = R"({"v":1,"vehicle":"V0001","seq":)" + std::to_string(number) +
                        R"(,"ts":1795393770318,"signals":{"Vehicle.Speed":)" +
                        std::to_string(number % 977) +
                        R"(.25,"Vehicle.CurrentLocation.Latitude":48.)" +
                        std::to_string(number * 7919 % 100000) + "}";
    value.resize(bytes, ' ');
    return value;
}

RecordView record_of(const std::string& value) {
    return {
        .timestamp = Timestamp{1'795'393'770'318},
        .key = as_bytes("vehicle-0001"),
        .value = as_bytes(value),
        .headers = {}};
}

double cpu_seconds() {
    ::rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const ::timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double device_bytes(const std::filesystem::path& dir) {
    struct ::stat facts {};

    if (::stat(dir.c_str(), &facts) != 0) return 0;
    std::ifstream file{
        "/sys/dev/block/" + std::to_string(major(facts.st_dev)) + ":" +
        std::to_string(minor(facts.st_dev)) + "/stat"};
    constexpr int sectors_written = 7;
    double field = 0;
    for (int i = 0; i < sectors_written && file >> field; ++i) {
    }
    return field * 512;
}

double median(std::vector<double> numbers) {
    return quantile(numbers, 0.5);
}

double quantile(std::vector<double>& numbers, double share) {
    if (numbers.empty()) return 0;
    std::sort(numbers.begin(), numbers.end());
    const auto at = static_cast<std::size_t>(static_cast<double>(numbers.size()) * share);
    return numbers[std::min(at, numbers.size() - 1)];
}

BareLoop::BareLoop(const std::filesystem::path& file, std::size_t value_bytes)
    : value_(value_of(value_bytes, 1)) {
    fd_ = ::open(file.c_str(), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0644);
    if (fd_ < 0) throw std::runtime_error{"open"};
    const std::vector<char> zeros(1 << 20);
    for (std::size_t at = 0; at < bare_file_bytes; at += zeros.size()) {
        if (::pwrite(fd_, zeros.data(), zeros.size(), static_cast<off_t>(at)) < 0) {
            throw std::runtime_error{"pwrite"};
        }
    }
    ::fsync(fd_);
}

BareLoop::~BareLoop() {
    ::close(fd_);
}

void BareLoop::step(int group) {
    batch_.resize(batch_header_bytes);
    for (int i = 0; i < group; ++i) {
        append_bytes(batch_, as_bytes("12345678key-of-12-by"));
        append_bytes(batch_, as_bytes(value_));
    }
    store_big(batch_.data() + 17, crc32c(Bytes{batch_}.subspan(21)));
    if (at_ + batch_.size() > bare_file_bytes) at_ = 0;
    if (::pwrite(fd_, batch_.data(), batch_.size(), static_cast<off_t>(at_)) < 0) {
        throw std::runtime_error{"pwrite"};
    }
    at_ += batch_.size();
    if (::fdatasync(fd_) != 0) throw std::runtime_error{"fdatasync"};
}

JournalAlone::JournalAlone(FileSystem& files, const std::filesystem::path& folder, Shape shape)
    : readers_(files)
    , group_(GroupLimits{.group_bytes = 4 * mib, .record_bytes = mib, .part_overhead_bytes = 300})
    , values_(make_values(shape.value_bytes)) {
    must(files.make_directory(folder));
    ring_ = must(Ring::create(
        files,
        folder,
        RingHeader{.log_id = 1, .ring_key = 2, .ring_bytes = 64 * mib},
        Checkpoint{}
    ));
    while (ring_->prewritten_bytes() < ring_->capacity_bytes())
        must(ring_->prewrite_more());
    for (int i = 0; i < shape.partitions; ++i) {
        partitions_.add(std::make_unique<Partition>(
            readers_,
            TopicPartition{.topic = topic, .partition = i},
            folder
        ));
    }
    group_.make_room(partitions_.size());
    committer_.emplace(*ring_, partitions_, stats_);
}

void JournalAlone::step(int group) {
    for (int i = 0; i < group; ++i) {
        const PartitionId id{static_cast<std::uint32_t>(next_++ % partitions_.size())};
        Partition& partition = partitions_[id];
        const auto& value = values_[next_ % values_.size()];
        const auto given = must(group_.add(id, partition.appended(), record_of(value), AckToken{}));
        partition.set_appended(given + 1);
    }
    while (!committer_->seal(group_))
        free_ring();
    must(committer_->write());
    if (ring_->used_bytes() > ring_->capacity_bytes() / 2) free_ring();
}

void JournalAlone::free_ring() {
    for (const PartitionId id : partitions_.ids()) {
        Partition& partition = partitions_[id];
        const Offset durable = partition.positions().durable;
        partition.publish_segments({{.base = Offset{0}, .next = durable, .bytes = 0}});
    }
    SessionDeltas none;
    const std::uint64_t next_sequence = committer_->reached(none);
    Checkpoint checkpoint;
    checkpoint.first_needed_sequence = next_sequence;
    must(ring_->write_slot(checkpoint));
    ring_->free_before(next_sequence);
}

WholeLog::WholeLog(FileSystem& files, const std::filesystem::path& folder, Shape shape)
    : values_(make_values(shape.value_bytes)) {
    LogConfig config;
    config.data_dir = folder;
    config.checkpoints = shape.checkpoints;
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
    ids_ = must(log_->ensure_topic(topic, shape.partitions));
    // A new ring is written full of zeros first; that is no part of what is measured.
    const auto ring =
        ring_path(folder / "journal", must(ring_generations(files, folder / "journal")).back());
    const std::uint64_t whole = ring_begin + log_->config().ring_bytes;
    const bool is_made = test::wait_until(
        [&] { return std::filesystem::file_size(ring) >= whole; },
        std::chrono::seconds{60}
    );
    if (!is_made) throw std::runtime_error{"the ring is not made"};
}

WholeLog::~WholeLog() {
    (void)log_->close().has_error();
}

void WholeLog::step(int group) {
    for (int i = 0; i < group; ++i) {
        const auto& value = values_[next_ % values_.size()];
        const PartitionId id = ids_[next_++ % ids_.size()];
        while (!log_->append(id, record_of(value), AckToken{}))
            run_one_post();
    }
    sent_ += static_cast<std::uint64_t>(group);
    log_->commit();
    while (acked_ < sent_)
        run_one_post();
}

void WholeLog::settle() {
    must(log_->checkpoint_now());
}

void WholeLog::run_one_post() {
    std::unique_lock lock{mutex_};
    wake_.wait(lock, [this] { return !posts_.empty(); });
    auto function = std::move(posts_.front());
    posts_.pop_front();
    lock.unlock();
    function();
}

void fill_segments(
    FileSystem& files,
    const std::filesystem::path& folder,
    std::uint64_t bytes,
    int partitions
) {
    constexpr int records = 300;
    constexpr std::size_t segment_bytes = 64 * mib;
    std::mt19937_64 random{1};
    std::string value(200, ' ');
    BatchBuilder builder;
    builder.start(Offset{0});
    for (int i = 0; i < records; ++i) {
        std::generate(value.begin(), value.end(), [&] { return static_cast<char>(random()); });
        builder.add(record_of(value));
    }
    const Bytes batch = builder.finish_plain();
    Buffer piece;
    while (piece.size() < mib)
        append_bytes(piece, batch);
    must(files.make_directory(folder));
    for (int partition = 0; partition < partitions; ++partition) {
        const auto place = folder / partition_folder_name({.topic = topic, .partition = partition});
        must(files.make_directory(place));
        std::uint64_t left = bytes / static_cast<std::uint64_t>(partitions);
        Offset next{0};
        while (left > piece.size()) {
            auto segment = must(SegmentWriter::create(files, place, next));
            while (left > piece.size() && segment->bytes() + piece.size() <= segment_bytes) {
                // The base offset is outside of a batch's CRC.
                for (std::size_t at = 0; at < piece.size();
                     at += batch.size(), next = next + records)
                    store_big(piece.data() + at, next.value());
                must(segment->append(piece));
                left -= piece.size();
            }
            must(segment->seal());
        }
    }
    must(files.sync_directory(folder));
}

}  // namespace milepost::bench
