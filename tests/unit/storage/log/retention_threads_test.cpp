// Readers while their partition is written, rolled, checkpointed and retained: run under the thread
// sanitizer too.
#include "storage/format/record_batch.hpp"
#include "storage/fs/posix_file_system.hpp"
#include "storage/log/disk_log.hpp"
#include "storage/log/errc.hpp"
#include "tests/support/log_parts.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/seeded_random.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace milepost::storage {

namespace {

constexpr std::int64_t first_ms = 1'795'000'000'000;
constexpr std::size_t value_bytes = 400;

std::string value_of(std::int64_t offset) {
    std::string value = std::to_string(offset) + ":";
    value.resize(value_bytes, static_cast<char>('a' + offset % 26));
    return value;
}

// Whether all records from `from` on are the ones that were written there.
bool are_right(Bytes batches, Offset from, Buffer& scratch) {
    while (!batches.empty()) {
        const auto header = check_batch(batches);
        if (!header) return false;
        auto cursor = RecordCursor::open(batches.first(header->total_bytes), *header, scratch);
        if (!cursor) return false;
        while (true) {
            const auto record = cursor->next();
            if (!record) return false;
            if (!record->has_value()) break;
            if ((*record)->offset < from) continue;
            if (as_text((*record)->value.value()) != value_of((*record)->offset.value())) {
                return false;
            }
        }
        batches = batches.subspan(header->total_bytes);
    }
    return true;
}

// What the readers saw; counts, because Catch's macros are one thread's.
struct Seen {
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> wrong{0};
    std::atomic<std::uint64_t> reads{0};
    std::atomic<std::uint64_t> below_start{0};
};

void read_on(DiskLog& log, PartitionId partition, Seen& seen, std::uint64_t seed) {
    test::SeededRandom random{seed};
    Buffer buffer;
    Buffer scratch;
    Offset at{0};
    while (!seen.stop) {
        const auto read = log.read(partition, at, 1 + random.below(60'000), buffer);
        if (!read) {
            const bool is_below = read.error() == LogErrc::offset_out_of_range &&
                                  at < log.positions(partition).start;
            ++(is_below ? seen.below_start : seen.wrong);
            at = log.positions(partition).start;
            continue;
        }
        ++seen.reads;
        if (!are_right(read->batches, at, scratch) || read->next < at) ++seen.wrong;
        if (!read->batches.empty() && read->first > at) ++seen.wrong;
        at = read->next;
        const auto positions = log.positions(partition);
        const bool jumps = random.below(8) == 0;
        const auto range = static_cast<std::uint64_t>(positions.durable - positions.start) + 1;
        if (jumps) at = positions.start + static_cast<std::int64_t>(random.below(range));
    }
}

void look_up_times(DiskLog& log, PartitionId partition, Seen& seen, std::uint64_t seed) {
    test::SeededRandom random{seed};
    while (!seen.stop) {
        const auto before = log.positions(partition);
        const auto range = static_cast<std::uint64_t>(before.durable - before.start) + 1;
        const Offset wanted = before.start + static_cast<std::int64_t>(random.below(range));
        // A record's timestamp tells its offset.
        const auto found = log.find_timestamp(partition, Timestamp{first_ms + wanted.value()});
        ++seen.reads;
        const bool is_right = found &&
                              (*found == wanted || log.positions(partition).start > wanted);
        if (!is_right) ++seen.wrong;
    }
}

}  // namespace

TEST_CASE("log: readers by offset and time beside writer, checkpoints and retention", "[log]") {
    constexpr std::int64_t records = 20'000;
    constexpr int records_a_group = 25;
    const test::TempDir dir;
    PosixFileSystem files;
    test::RecordingKeeper keeper;
    test::RecordingListener listener;
    test::PostQueue posts;
    LogConfig config;
    config.data_dir = dir.path() / "data";
    config.limit_bytes = log_limit_bytes_min;
    config.ring_bytes = ring_bytes_min;
    config.segment_bytes = 64 * kib;
    config.batch_bytes = 8 * kib;
    config.codec = Codec::none;
    config.retention["t"].bytes = 96 * kib;
    RecoveryReport report;
    auto opened = DiskLog::open_for_writing(
        config,
        {.files = files,
         .keeper = keeper,
         .listener = listener,
         .post =
             [&posts](std::function<void()> function) {
                 posts.post(std::move(function));
             }},
        report
    );
    REQUIRE(opened);
    DiskLog& log = **opened;
    const PartitionId partition = log.ensure_topic("t", 1).value().front();

    Seen seen;
    {
        std::vector<std::jthread> readers;
        for (std::uint64_t i = 0; i < 3; ++i) {
            readers.emplace_back([&, i] { read_on(log, partition, seen, i); });
            readers.emplace_back([&, i] { look_up_times(log, partition, seen, 100 + i); });
        }
        std::int64_t written = 0;
        while (written < records) {
            for (int i = 0; i < records_a_group; ++i) {
                const std::string value = value_of(written);
                const RecordView record{
                    .timestamp = Timestamp{first_ms + written},
                    .key = as_bytes("k"),
                    .value = as_bytes(value),
                    .headers = {}};
                // Full for a moment, or a group is with the other thread: what was posted helps.
                while (!log.append(partition, record, test::token(1)))
                    posts.run_one();
                ++written;
            }
            log.commit();
            log.set_forwarded(partition, log.positions(partition).durable);
            if (written % 2000 == 0) CHECK(log.retain_now());
        }
        posts.run_until([&] {
            log.commit();
            return log.positions(partition).durable == Offset{records};
        });
        seen.stop = true;
    }
    CHECK(seen.wrong == 0);
    CHECK(seen.reads > 0);
    log.set_forwarded(partition, Offset{records});
    REQUIRE(log.checkpoint_now());
    REQUIRE(log.retain_now());
    CHECK(log.positions(partition).start > Offset{0});
    REQUIRE(log.close());
}

}  // namespace milepost::storage
