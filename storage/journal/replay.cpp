#include "storage/journal/replay.hpp"

#include "storage/base/units.hpp"
#include "storage/format/record_batch.hpp"
#include "storage/journal/errc.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

namespace milepost::storage {
namespace {

constexpr std::size_t read_step_bytes = mib;

bool is_blank(Bytes bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

// Fills `into`; a block that the disk cannot read stays zero: it is rot like any other, and must
// not keep the log from starting.
Result<std::size_t> read_around_rot(File& file, FilePosition at, MutableBytes into) {
    auto whole = file.read_at(at, into);
    const auto is_rot = [](const ErrorCode& error) {
        return error == boost::system::errc::io_error;
    };
    if (whole || !is_rot(whole.error())) return whole;
    std::size_t done = 0;
    while (done < into.size()) {
        const MutableBytes block = into.subspan(done, std::min(block_bytes, into.size() - done));
        const auto read = file.read_at(at + done, block);
        if (!read && !is_rot(read.error())) return read.error();
        if (!read) std::fill(block.begin(), block.end(), std::byte{0});
        done += block.size();
        if (read && *read < block.size()) return done - block.size() + *read;
    }
    return done;
}

class Scan {
public:
    explicit Scan(File& file)
        : file_(file) {}

    Result<Replay> run();

private:
    Result<void> read_slots(MutableBytes head, const JournalKey& key);
    Result<void> read_ring(std::uint64_t file_bytes);
    Result<void> find_frames(const JournalKey& key);
    Result<std::size_t> look_at(std::size_t at, const JournalKey& key);
    void note_lost(Bytes bytes, const FrameHeader& header);
    void put_in_order();
    void find_holes();
    void keep_lost_of_holes();
    void release_the_rest();

    File& file_;
    Replay replay_;
    std::uint64_t first_ = 0;  // frames below are left alone
    std::uint64_t begun_ = 0;  // the highest sequence of a frame that is not whole
};

Result<Replay> Scan::run() {
    Buffer head(ring_begin);
    auto head_bytes = read_around_rot(file_, FilePosition{0}, head);
    if (!head_bytes) return head_bytes.error();
    auto header = decode_ring_header(head);
    if (!header) return header.error();
    replay_.header = *header;
    const JournalKey key = header->key();
    MILEPOST_TRY(read_slots(head, key));
    auto file_bytes = file_.size();
    if (!file_bytes) return file_bytes.error();
    MILEPOST_TRY(read_ring(*file_bytes));
    MILEPOST_TRY(find_frames(key));
    put_in_order();
    find_holes();
    keep_lost_of_holes();
    release_the_rest();
    return std::move(replay_);
}

Result<void> Scan::read_slots(MutableBytes head, const JournalKey& key) {
    for (std::size_t area = 0; area < slot_area_count; ++area) {
        const Bytes bytes = head.subspan(slots_begin + area * slot_area_bytes, slot_area_bytes);
        auto slot = decode_slot(bytes, key);
        if (!slot && slot.error() == make_error_code(JournalErrc::newer_version)) {
            return slot.error();
        }
        if (!slot || slot->generation != replay_.header.generation) {
            if (!is_blank(bytes.first(block_bytes))) ++replay_.damaged_slots;
        } else if (!replay_.slot || slot->sequence > replay_.slot->sequence) {
            replay_.slot = std::move(*slot);
        }
    }
    if (replay_.slot) first_ = replay_.slot->checkpoint.first_needed_sequence;
    return {};
}

Result<void> Scan::read_ring(std::uint64_t file_bytes) {
    const std::uint64_t behind = file_bytes > ring_begin ? file_bytes - ring_begin : 0;
    replay_.written_bytes = std::min(replay_.header.ring_bytes, behind / block_bytes * block_bytes);
    replay_.mirror = MemoryRegion{replay_.header.ring_bytes};
    const MutableBytes all = replay_.mirror.bytes();
    for (std::size_t at = 0; at < replay_.written_bytes; at += read_step_bytes) {
        const std::size_t step = std::min(read_step_bytes, replay_.written_bytes - at);
        auto read = read_around_rot(file_, FilePosition{ring_begin + at}, all.subspan(at, step));
        if (!read) return read.error();
        replay_.scanned_bytes += *read;
    }
    return {};
}

Result<void> Scan::find_frames(const JournalKey& key) {
    std::size_t at = 0;
    while (at < replay_.written_bytes) {
        const auto length = look_at(at, key);
        if (!length) return length.error();
        at += *length;
    }
    return {};
}

// What to go on by: over a whole frame, or to the next block.
Result<std::size_t> Scan::look_at(std::size_t at, const JournalKey& key) {
    const Bytes bytes = Bytes{replay_.mirror.bytes()}.first(replay_.written_bytes).subspan(at);
    const auto header = decode_frame_header(bytes, key);
    if (!header) {
        if (header.error() == make_error_code(JournalErrc::newer_version)) return header.error();
        return block_bytes;
    }
    // A frame of another place or ring was put here by a disk that went astray.
    const FramePlace& place = header->place;
    const bool is_at_home = place.position == FilePosition{ring_begin + at} &&
                            place.generation == replay_.header.generation;
    if (!is_at_home) return block_bytes;
    const auto payload = check_frame_payload(bytes, *header, key);
    if (!payload) {
        begun_ = std::max(begun_, place.sequence);
        if (place.sequence >= first_) note_lost(bytes, *header);
        return block_bytes;
    }
    if (place.sequence >= first_) {
        replay_.frames.push_back({
            .place = place,
            .total_bytes = header->total_bytes(),
            .section_count = header->section_count,
            .payload = *payload,
        });
    }
    return header->total_bytes();
}

// As far as its sections can be walked. A field that was hit is found where two say the same.
void Scan::note_lost(Bytes bytes, const FrameHeader& header) {
    const Bytes behind = bytes.subspan(frame_header_bytes);
    SectionCursor cursor{
        behind.first(std::min(behind.size(), header.payload_bytes)),
        header.section_count};
    while (true) {
        const auto section = cursor.next();
        if (!section || !section->has_value()) return;
        const auto* records = std::get_if<RecordsSection>(&**section);
        if (records == nullptr) continue;
        const auto batch = decode_batch_header(records->batch);
        if (!batch || batch->total_bytes != records->batch.size()) continue;
        if (batch->record_count != batch->last_offset_delta + 1) continue;
        replay_.lost.push_back({
            .sequence = header.place.sequence,
            .name = {std::string{records->topic}, records->partition},
            .base = batch->base_offset,
            .next = batch->next_offset(),
        });
    }
}

void Scan::put_in_order() {
    auto& frames = replay_.frames;
    std::sort(frames.begin(), frames.end(), [](const auto& left, const auto& right) {
        return left.place.sequence < right.place.sequence;
    });
    const auto same = [](const auto& left, const auto& right) {
        return left.place.sequence == right.place.sequence;
    };
    frames.erase(std::unique(frames.begin(), frames.end(), same), frames.end());

    const FilePosition ring_end{ring_begin + replay_.header.ring_bytes};
    replay_.next_position = FilePosition{ring_begin};
    if (!frames.empty()) {
        replay_.next_position = frames.back().place.position + frames.back().total_bytes;
    } else if (replay_.slot) {
        const FilePosition at = replay_.slot->checkpoint.first_needed_position;
        const bool is_in_ring = at >= FilePosition{ring_begin} && at <= ring_end;
        if (is_in_ring && at.value() % block_bytes == 0) replay_.next_position = at;
    }
}

void Scan::find_holes() {
    const auto& frames = replay_.frames;
    std::uint64_t expected = first_;
    // Without a slot nobody knows where the journal begins.
    if (!replay_.slot) expected = frames.empty() ? 1 : frames.front().place.sequence;
    const auto reach = [&](std::uint64_t sequence) {
        if (sequence > expected) replay_.holes.push_back({expected, sequence});
        expected = std::max(expected, sequence);
    };
    for (const ReplayedFrame& frame : frames) {
        reach(frame.place.sequence);
        ++expected;
    }
    const std::uint64_t known = replay_.slot ? replay_.slot->checkpoint.next_sequence : 0;
    reach(std::max(known, begun_));
    replay_.next_sequence = expected;
    replay_.torn_end = begun_ == expected;
}

// What was in flight was never acknowledged, and what is whole elsewhere is not lost.
void Scan::keep_lost_of_holes() {
    std::erase_if(replay_.lost, [&](const LostRecords& lost) {
        return std::none_of(
            replay_.holes.begin(),
            replay_.holes.end(),
            [&](const SequenceHole& hole) {
                return hole.first <= lost.sequence && lost.sequence < hole.end;
            }
        );
    });
    std::stable_sort(
        replay_.lost.begin(),
        replay_.lost.end(),
        [](const LostRecords& left, const LostRecords& right) {
            return left.sequence < right.sequence;
        }
    );
}

void Scan::release_the_rest() {
    std::vector<std::pair<std::size_t, std::size_t>> kept;
    kept.reserve(replay_.frames.size() + 1);
    for (const ReplayedFrame& frame : replay_.frames) {
        kept.emplace_back(frame.place.position.value() - ring_begin, frame.total_bytes);
    }
    std::sort(kept.begin(), kept.end());
    kept.emplace_back(replay_.mirror.bytes().size(), 0);
    std::size_t from = 0;
    for (const auto& [at, bytes] : kept) {
        replay_.mirror.release(from, at - from);
        from = at + bytes;
    }
}

}  // namespace

Result<Replay> replay_ring(File& file) {
    return Scan{file}.run();
}

}  // namespace milepost::storage
