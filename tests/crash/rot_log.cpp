#include "tests/crash/rot_log.hpp"

#include "storage/journal/ring.hpp"
#include "tests/support/seeded_random.hpp"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <stdexcept>

namespace milepost::test {

using namespace storage;

namespace {

constexpr std::uint64_t ring_blocks = 16;
constexpr std::size_t small_value = 1400;  // one block of the ring, one batch of a segment
constexpr std::size_t large_value = 5000;  // two blocks

// Offsets: what the checkpoint covers, what the segments have, what there is.
constexpr std::int64_t checkpointed = 14;
constexpr std::int64_t in_segments = 17;
constexpr std::int64_t records = 20;

void require(bool is_so, const char* what) {
    if (!is_so) throw std::runtime_error{what};
}

std::vector<std::int64_t> range(std::int64_t from, std::int64_t end) {
    std::vector<std::int64_t> numbers(static_cast<std::size_t>(std::max<std::int64_t>(end - from, 0)
    ));
    std::iota(numbers.begin(), numbers.end(), from);
    return numbers;
}

void drop(std::vector<std::int64_t>& offsets, std::int64_t from, std::int64_t end) {
    std::erase_if(offsets, [&](std::int64_t offset) { return offset >= from && offset < end; });
}

}  // namespace

RotLog::RotLog() {
    build();
    for (Frame& frame : frames_)
        frame.padding_begins = look_for_padding(frame);
    sealed_batches_ = look_for_batches(sealed());
    active_batches_ = look_for_batches(active());
    require(sealed_batches_.size() > 1 && active_batches_.size() > 2, "batches");
    require(active_batches_.back().next == in_segments, "batches behind the checkpoint");
}

std::string RotLog::segment(std::int64_t base) {
    std::array<char, 64> text{};
    (void)std::snprintf(text.data(), text.size(), "/data/t-0/%020ld.log", base);
    return text.data();
}

std::uint64_t RotLog::bytes(const std::string& file) const {
    return disk.content(file).size();
}

std::unique_ptr<DiskLog> RotLog::open(RecoveryReport& report) {
    LogConfig config;
    config.data_dir = "/data";
    config.limit_bytes = 1024 * mib;
    config.segment_bytes = 16 * kib;
    config.batch_bytes = 1 * kib;
    config.codec = Codec::none;
    config.background = false;
    return DiskLog::open_for_writing(
               config,
               {.files = disk, .keeper = keeper_, .listener = listener_, .post = {}},
               report
    )
        .value();
}

// Incompressible, so that no bit of it is without meaning.
void RotLog::put(DiskLog& log, std::size_t value_bytes) {
    const auto partition = log.ensure_topic("t", 1).value().front();
    SeededRandom random{static_cast<std::uint64_t>(log.positions(partition).appended.value())};
    std::string value;
    while (value.size() < value_bytes)
        value += static_cast<char>(random.next());
    require(log.append(partition, record("k", value), {}).has_value(), "append");
    log.commit();
}

void RotLog::build() {
    // The ring is made by hand: smaller than the log would make it, and with known keys.
    for (const char* folder : {"/data", "/data/journal"})
        require(disk.make_directory(folder).has_value(), "folder");
    const RingHeader header{
        .log_id = 1,
        .ring_key = 2,
        .generation = 1,
        .ring_bytes = ring_blocks * block_bytes};
    require(Ring::create(disk, "/data/journal", header, {}).has_value(), "ring");
    RecoveryReport report;
    const auto log = open(report);
    const auto put_some = [&](int count) {
        for (int i = 0; i < count; ++i)
            put(*log, small_value);
    };
    put_some(10);  // frames 1 to 10, blocks 0 to 9
    require(log->checkpoint_now().has_value(), "checkpoint");
    put_some(4);  // frames 11 to 14, blocks 10 to 13
    require(log->checkpoint_now().has_value(), "checkpoint");
    const auto names = disk.list("/data/t-0").value();
    std::vector<std::int64_t> bases;
    for (const DirectoryEntry& entry : names) {
        if (entry.name.ends_with(".log")) bases.push_back(std::stol(entry.name));
    }
    require(bases.size() > 1, "a roll");
    sealed_base_ = bases[bases.size() - 2];
    active_base_ = bases.back();
    checkpointed_bytes_ = bytes(active());
    put_some(3);  // frames 15 to 17, blocks 14, 15 and 0
    require(log->append_session("c", as_bytes("s"), {}).has_value(), "session");
    log->commit();  // frame 18, block 1
    // A checkpoint that writes segments and then fails: no slot.
    keeper_.fails = true;
    require(!log->checkpoint_now().has_value(), "a failed checkpoint");
    keeper_.fails = false;
    put(*log, small_value);  // frame 19, block 2
    put(*log, large_value);  // frame 20, blocks 3 and 4
    put(*log, small_value);  // frame 21, block 5
    frames_ = {
        {.sequence = 15, .block = 14, .blocks = 1, .record = 14},
        {.sequence = 16, .block = 15, .blocks = 1, .record = 15},
        {.sequence = 17, .block = 0, .blocks = 1, .record = 16},
        {.sequence = 18, .block = 1, .blocks = 1, .record = -1},
        {.sequence = 19, .block = 2, .blocks = 1, .record = 17},
        {.sequence = 20, .block = 3, .blocks = 2, .record = 18},
        {.sequence = 21, .block = 5, .blocks = 1, .record = 19}};
}

const std::vector<RotLog::Batch>& RotLog::batches(const std::string& file) const {
    return file == active() ? active_batches_ : sealed_batches_;
}

// Read with no code of the log: base offset, length, last offset delta.
std::vector<RotLog::Batch> RotLog::look_for_batches(const std::string& file) const {
    const Buffer all = disk.content(file);
    std::vector<Batch> found;
    for (std::size_t at = 0; at < all.size();) {
        const auto first = load_big<std::int64_t>(all.data() + at);
        const auto length = load_big<std::int32_t>(all.data() + at + 8);
        const auto delta = load_big<std::int32_t>(all.data() + at + 23);
        const std::size_t end = at + 12 + static_cast<std::size_t>(length);
        found.push_back({at, end, first, first + delta + 1});
        at = end;
    }
    return found;
}

RotLog::Outcome RotLog::whole() const {
    return {.offsets = range(0, records), .gaps = {}, .durable = records};
}

// In the order of their numbers: whole ones are replayed; one that is not is a hole where a higher
// number is known, and else the end.
RotLog::Outcome RotLog::after_frames(std::vector<Frame> frames) {
    std::uint64_t known = 0;
    for (const Frame& frame : frames) {
        if (frame.state != FrameState::gone) known = std::max(known, frame.sequence);
    }
    Outcome outcome{.offsets = range(0, in_segments), .gaps = {}, .durable = in_segments};
    for (const Frame& frame : frames) {
        if (frame.state != FrameState::whole && frame.sequence >= known) break;
        if (frame.record < in_segments) continue;  // or a session: not looked at here
        if (frame.state == FrameState::whole) {
            if (frame.record > outcome.durable) {
                outcome.gaps.emplace_back(outcome.durable, frame.record);
            }
            outcome.offsets.push_back(frame.record);
            outcome.durable = frame.record + 1;
        }
    }
    return outcome;
}

// Behind the payload (whose length is in the header) only zeros come, which no CRC covers.
std::uint64_t RotLog::look_for_padding(const Frame& frame) const {
    const Buffer all = disk.content(journal());
    const std::uint64_t at = ring_begin + frame.block * block_bytes;
    return at + 48 + load_little<std::uint32_t>(all.data() + at + 16);
}

// Both copies of the header, both slots and all that is not needed any more can go without harm.
RotLog::Outcome RotLog::after_flip_in_journal(std::uint64_t byte) const {
    if (byte < ring_begin) return whole();
    const std::uint64_t block = (byte - ring_begin) / block_bytes;
    std::vector<Frame> frames = frames_;
    for (Frame& frame : frames) {
        if (block < frame.block || block >= frame.block + frame.blocks) continue;
        if (byte >= frame.padding_begins) return whole();
        const bool is_header = byte < ring_begin + frame.block * block_bytes + 48;
        frame.state = is_header ? FrameState::gone : FrameState::begun;
    }
    return after_frames(std::move(frames));
}

RotLog::Outcome RotLog::after_cut_of_journal(std::uint64_t bytes) const {
    const std::uint64_t blocks = bytes < ring_begin ? 0 : (bytes - ring_begin) / block_bytes;
    std::vector<Frame> frames = frames_;
    for (Frame& frame : frames) {
        if (frame.block + frame.blocks <= blocks) continue;
        frame.state = frame.block < blocks ? FrameState::begun : FrameState::gone;
    }
    return after_frames(std::move(frames));
}

// In front of the checkpoint a hole of that batch, which a reader goes around; behind it the
// journal has everything.
RotLog::Outcome RotLog::after_flip_in_segment(const std::string& file, std::uint64_t byte) const {
    Outcome outcome = whole();
    if (file == active() && byte >= checkpointed_bytes_) return outcome;
    for (const Batch& batch : batches(file)) {
        if (byte < batch.begin || byte >= batch.end) continue;
        // The leader epoch is outside of the CRC, and says nothing: `verify` names it.
        const bool is_epoch = byte - batch.begin >= 12 && byte - batch.begin < 16;
        if (!is_epoch) drop(outcome.offsets, batch.first, batch.next);
    }
    return outcome;
}

// Whole batches are kept. What the checkpoint promised and the active segment has not any more is a
// hole; of a sealed one nobody looks before it is read.
RotLog::Outcome RotLog::after_cut_of_segment(const std::string& file, std::uint64_t bytes) const {
    Outcome outcome = whole();
    const bool is_active = file == active();
    if (is_active && bytes >= checkpointed_bytes_) return outcome;
    std::int64_t kept = is_active ? active_base_ : sealed_base_;
    for (const Batch& batch : batches(file)) {
        if (batch.end <= bytes) kept = batch.next;
    }
    const std::int64_t end = is_active ? checkpointed : active_base_;
    drop(outcome.offsets, kept, end);
    if (is_active && kept < end) outcome.gaps.emplace_back(kept, end);
    return outcome;
}

RotLog::Outcome RotLog::read(DiskLog& log, const RecoveryReport& report) {
    Outcome outcome;
    const auto partition = log.find({.topic = "t", .partition = 0}).value();
    const Positions positions = log.positions(partition);
    outcome.durable = positions.durable.value();
    outcome.offsets = read_back(log, partition, positions.start, 100'000).offsets;
    for (const Gap& gap : report.gaps)
        outcome.gaps.emplace_back(gap.first.value(), gap.end.value());
    return outcome;
}

RotLog::Outcome RotLog::read() {
    RecoveryReport report;
    const auto log = DiskLog::open_for_reading("/data", disk, report).value();
    return read(*log, report);
}

RotLog::Outcome RotLog::read_and_go_on() {
    const DiskState damaged = disk.snapshot();
    Outcome first;
    bool is_taken = false;
    {
        RecoveryReport report;
        const auto log = open(report);
        first = read(*log, report);
        put(*log, small_value);
        require(log->checkpoint_now().has_value(), "checkpoint");
        log->commit();  // a ring that was cut short may have been full before
        require(log->checkpoint_now().has_value(), "checkpoint");
        // One with no block left takes nothing before the checkpointer's thread has made some.
        is_taken = log->stats().groups.value() == 1;
        require(is_taken || bytes(journal()) < ring_begin + 2 * block_bytes, "it takes in again");
    }
    disk.power_cut();
    RecoveryReport report;
    const auto log = open(report);
    Outcome expected = first;
    if (is_taken) expected.offsets.push_back(expected.durable++);
    expected.gaps.clear();
    require(read(*log, report) == expected, "the next start gives something else");
    disk.restore(damaged);
    return first;
}

}  // namespace milepost::test
