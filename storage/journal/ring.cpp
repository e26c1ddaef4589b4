#include "storage/journal/ring.hpp"

#include "storage/base/check.hpp"
#include "storage/journal/errc.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace milepost::storage {
namespace {

constexpr std::string_view unfinished_suffix = ".new";
constexpr std::size_t zero_step_bytes = 256 * kib;
constexpr std::size_t release_step_bytes = mib;

Result<void> write_zeros(File& file, FilePosition at, std::uint64_t bytes) {
    static const Buffer zeros(zero_step_bytes);
    while (bytes > 0) {
        const std::size_t step = std::min<std::uint64_t>(bytes, zeros.size());
        MILEPOST_TRY(file.write_at(at, Bytes{zeros}.first(step)));
        at += step;
        bytes -= step;
    }
    return {};
}

FilePosition slot_position(std::uint64_t slot_sequence) {
    return FilePosition{slots_begin + (slot_sequence % slot_area_count) * slot_area_bytes};
}

std::filesystem::path unfinished_path(std::filesystem::path path) {
    path += unfinished_suffix;
    return path;
}

}  // namespace

Ring::Ring(const RingHeader& header, MemoryRegion mirror)
    : header_(header)
    , key_(header.key())
    , mirror_(std::move(mirror)) {}

Result<std::unique_ptr<Ring>> Ring::create(
    FileSystem& files,
    const std::filesystem::path& folder,
    const RingHeader& header,
    Checkpoint first
) {
    if (header.ring_bytes < ring_bytes_min || header.ring_bytes > ring_bytes_max ||
        header.ring_bytes % block_bytes != 0) {
        return make_error_code(JournalErrc::bad_size);
    }
    std::unique_ptr<Ring> ring{new Ring{header, MemoryRegion{header.ring_bytes}}};
    const std::filesystem::path path = ring_path(folder, header.generation);
    auto made = ring->make_file(files, path, std::move(first));
    if (!made) {
        // What is half made must not take the last space of a full disk. If this fails too, the
        // next start removes it.
        static_cast<void>(files.remove(unfinished_path(path)));
        return made.error();
    }
    MILEPOST_TRY(files.sync_directory(folder));
    return ring;
}

Result<void> Ring::make_file(
    FileSystem& files,
    const std::filesystem::path& path,
    Checkpoint first
) {
    const std::filesystem::path unfinished = unfinished_path(path);
    MILEPOST_TRY(open_files(files, unfinished, OpenMode::create));
    MILEPOST_TRY(slot_file_->truncate(0));
    next_sequence_ = first.next_sequence;
    first.first_needed_sequence = first.next_sequence;
    first.first_needed_position = FilePosition{ring_begin};
    const Slot slot{
        .sequence = 1,
        .generation = header_.generation,
        .checkpoint = std::move(first)};
    auto slot_bytes = encode_slot(slot, key_);
    if (!slot_bytes) return slot_bytes.error();

    const std::uint64_t written = std::min(first_prewrite_bytes, header_.ring_bytes);
    MILEPOST_TRY(slot_file_->write_at(FilePosition{0}, encode_ring_header(header_)));
    MILEPOST_TRY(write_zeros(
        *slot_file_,
        FilePosition{slots_begin},
        slot_area_count * slot_area_bytes + written
    ));
    MILEPOST_TRY(slot_file_->write_at(slot_position(slot.sequence), *slot_bytes));
    MILEPOST_TRY(slot_file_->sync());
    MILEPOST_TRY(files.rename(unfinished, path));
    slot_sequence_ = slot.sequence;
    slot_first_needed_ = next_sequence_;
    prewritten_bytes_ = written;
    return {};
}

Result<std::unique_ptr<Ring>> Ring::open(
    FileSystem& files,
    const std::filesystem::path& folder,
    std::uint32_t generation
) {
    // The header comes out of the replay, so the ring is made from it; the files are opened first.
    std::unique_ptr<Ring> ring{new Ring{RingHeader{}, MemoryRegion{}}};
    MILEPOST_TRY(ring->open_files(files, ring_path(folder, generation), OpenMode::write));
    // First the cache goes to the disk, then it is dropped as far as the kernel follows the hint,
    // so that what is read is what the disk has.
    const auto synced = ring->slot_file_->sync();
    ring->slot_file_->forget_cached(FilePosition{0}, 0);
    auto replay = replay_ring(*ring->frame_file_);
    if (!replay) return replay.error();
    if (replay->header.generation != generation) {
        return make_error_code(JournalErrc::header_damaged);
    }
    ring->take_over(std::move(*replay));
    if (synced) {
        (void)ring->settle().has_error();
    } else {
        (void)ring->poison(synced.error());
    }
    return ring;
}

Result<void> Ring::open_files(FileSystem& files, const std::filesystem::path& path, OpenMode mode) {
    auto slot_file = files.open(path, mode);
    if (!slot_file) return slot_file.error();
    auto frame_file = files.open(path, OpenMode::write);
    if (!frame_file) return frame_file.error();
    slot_file_ = std::move(*slot_file);
    frame_file_ = std::move(*frame_file);
    return {};
}

void Ring::take_over(Replay replay) {
    header_ = replay.header;
    key_ = header_.key();
    mirror_ = std::move(replay.mirror);
    prewritten_bytes_ = replay.written_bytes;
    if (replay.slot) {
        slot_sequence_ = replay.slot->sequence;
        slot_first_needed_ = replay.slot->checkpoint.first_needed_sequence;
    }
    next_sequence_ = replay.next_sequence;
    next_at_ = replay.next_position.value() - ring_begin;
    for (const ReplayedFrame& frame : replay.frames) {
        live_.push_back(
            {frame.place.sequence, frame.place.position.value() - ring_begin, frame.total_bytes}
        );
    }
    // Without a slot, frames of an older lap may be among the replayed ones; they are harmless, but
    // the free space is not between the last and the first then.
    if (!is_in_ring_order()) full_until_ = next_sequence_;
    replayed_ = std::move(replay);
}

// What replay believes may so far be in the page cache only, and worse: cached, clean and not on
// the disk, where the sync of an earlier process failed. One group is in flight, so that can be the
// last frame; or the last slot. Writing the same bytes again cannot tear anything.
Result<void> Ring::settle() {
    if (!live_.empty()) {
        const LiveFrame& last = live_.back();
        const auto written = frame_file_->overwrite_durable(
            FilePosition{ring_begin + last.at},
            mirror_.bytes().subspan(last.at, last.bytes)
        );
        if (!written) return poison(written.error());
    }
    if (replayed_.slot) MILEPOST_TRY(write_slot_area(*replayed_.slot));
    return {};
}

bool Ring::is_in_ring_order() const {
    if (live_.empty()) return true;
    bool has_wrapped = false;
    std::uint64_t end = live_.front().at;
    for (const LiveFrame& frame : live_) {
        if (frame.at < end) {
            if (has_wrapped) return false;
            has_wrapped = true;
        }
        end = frame.at + frame.bytes;
        if (has_wrapped && end > live_.front().at) return false;
    }
    return end == next_at_;
}

std::optional<FrameSlot> Ring::reserve(std::size_t payload_bytes) {
    if (poisoned_ || payload_bytes > frame_payload_bytes_max) return std::nullopt;
    const std::size_t bytes = frame_bytes(payload_bytes);
    std::uint64_t sequence = 0;
    std::optional<std::uint64_t> at;
    {
        const std::lock_guard lock{mutex_};
        reserved_bytes_ = 0;
        if (!live_.empty() && live_.front().sequence < full_until_) return std::nullopt;
        at = place_for(bytes);
        if (!at) return std::nullopt;
        reserved_at_ = *at;
        reserved_bytes_ = bytes;
        sequence = next_sequence_;
    }
    return FrameSlot{
        .writer = FrameWriter{mirror_.bytes().subspan(*at, bytes)},
        .place =
            {.sequence = sequence,
             .position = FilePosition{ring_begin + *at},
             .generation = header_.generation},
    };
}

// Only inside what is pre-written: a commit there changes no metadata and finds its blocks.
std::optional<std::uint64_t> Ring::place_for(std::uint64_t bytes) const {
    const std::uint64_t end = prewritten_bytes_;
    const bool fits_behind = next_at_ + bytes <= end;
    if (live_.empty()) {
        if (fits_behind) return next_at_;
        return bytes <= end ? std::optional<std::uint64_t>{0} : std::nullopt;
    }
    const std::uint64_t first = live_.front().at;
    if (next_at_ > first) {
        if (fits_behind) return next_at_;
        return bytes <= first ? std::optional<std::uint64_t>{0} : std::nullopt;
    }
    return next_at_ + bytes <= first ? std::optional{next_at_} : std::nullopt;
}

Result<void> Ring::commit(FrameSlot& slot) {
    if (poisoned_) return make_error_code(JournalErrc::poisoned);
    const Bytes blocks = slot.writer.seal(slot.place, key_);
    const auto written = frame_file_->overwrite_durable(slot.place.position, blocks);
    if (!written) return poison(written.error());

    const std::lock_guard lock{mutex_};
    const std::uint64_t at = slot.place.position.value() - ring_begin;
    MILEPOST_CHECK(slot.place.sequence == next_sequence_ && at == reserved_at_);
    live_.push_back({slot.place.sequence, at, blocks.size()});
    ++next_sequence_;
    next_at_ = at + blocks.size();
    reserved_bytes_ = 0;
    return {};
}

Result<void> Ring::write_slot(Checkpoint checkpoint) {
    if (poisoned_) return make_error_code(JournalErrc::poisoned);
    {
        const std::lock_guard lock{mutex_};
        const std::uint64_t first = checkpoint.first_needed_sequence;
        MILEPOST_CHECK(first >= slot_first_needed_ && first <= next_sequence_);
        const auto needed = std::find_if(live_.begin(), live_.end(), [&](const LiveFrame& frame) {
            return frame.sequence >= first;
        });
        const std::uint64_t at = needed == live_.end() ? next_at_ : needed->at;
        checkpoint.first_needed_position = FilePosition{ring_begin + at};
        checkpoint.next_sequence = next_sequence_;
    }
    const std::uint64_t first_needed = checkpoint.first_needed_sequence;
    MILEPOST_TRY(write_slot_area(
        {.sequence = slot_sequence_ + 1,
         .generation = header_.generation,
         .checkpoint = std::move(checkpoint)}
    ));
    slot_first_needed_ = first_needed;
    return {};
}

Result<void> Ring::write_slot_area(const Slot& slot) {
    auto encoded = encode_slot(slot, key_);
    if (!encoded) return encoded.error();
    // A direct write wants an aligned address.
    MemoryRegion blocks{encoded->size()};
    std::copy(encoded->begin(), encoded->end(), blocks.bytes().begin());
    const auto written =
        slot_file_->overwrite_durable(slot_position(slot.sequence), blocks.bytes());
    if (!written) return poison(written.error());
    slot_sequence_ = slot.sequence;
    return {};
}

void Ring::free_before(std::uint64_t sequence) {
    MILEPOST_CHECK(sequence <= slot_first_needed_);
    const std::lock_guard lock{mutex_};
    while (!live_.empty() && live_.front().sequence < sequence) {
        live_.pop_front();
    }
}

Result<void> Ring::prewrite_more() {
    if (poisoned_) return make_error_code(JournalErrc::poisoned);
    const std::uint64_t from = prewritten_bytes_;
    if (from >= header_.ring_bytes) return {};
    const std::uint64_t step = std::min(prewrite_step_bytes, header_.ring_bytes - from);
    MILEPOST_TRY(write_zeros(*slot_file_, FilePosition{ring_begin + from}, step));
    const auto synced = slot_file_->sync();
    if (!synced) return poison(synced.error());
    prewritten_bytes_ = from + step;
    return {};
}

bool Ring::is_in_use(std::uint64_t at) const {
    if (reserved_bytes_ != 0 && at >= reserved_at_ && at < reserved_at_ + reserved_bytes_) {
        return true;
    }
    if (live_.empty()) return false;
    const std::uint64_t first = live_.front().at;
    if (live_.front().sequence < full_until_) return true;
    return next_at_ > first ? at >= first && at < next_at_ : at >= first || at < next_at_;
}

void Ring::release_idle_memory() {
    const std::uint64_t end = header_.ring_bytes;
    for (std::uint64_t step = 0; step < end; step += release_step_bytes) {
        // In steps, so that the committer never waits long for the mutex; under it, so that nothing
        // is reserved meanwhile.
        const std::lock_guard lock{mutex_};
        const std::uint64_t step_end = std::min<std::uint64_t>(step + release_step_bytes, end);
        std::uint64_t from = step;
        for (std::uint64_t at = step; at < step_end; at += block_bytes) {
            if (!is_in_use(at)) continue;
            mirror_.release(from, at - from);
            from = at + block_bytes;
        }
        mirror_.release(from, step_end - from);
    }
}

Result<void> Ring::remove_older(
    FileSystem& files,
    const std::filesystem::path& folder,
    std::uint32_t generation
) {
    auto entries = files.list(folder);
    if (!entries) return entries.error();
    auto generations = ring_generations(files, folder);
    if (!generations) return generations.error();
    std::vector<std::filesystem::path> old;
    for (const std::uint32_t other : *generations) {
        if (other < generation) old.push_back(ring_path(folder, other));
    }
    for (const DirectoryEntry& entry : *entries) {
        if (entry.name.starts_with("ring-") && entry.name.ends_with(unfinished_suffix)) {
            old.push_back(folder / entry.name);
        }
    }
    if (old.empty()) return {};
    for (const std::filesystem::path& path : old) {
        MILEPOST_TRY(files.remove(path));
    }
    return files.sync_directory(folder);
}

std::uint64_t Ring::next_sequence() const {
    const std::lock_guard lock{mutex_};
    return next_sequence_;
}

std::uint64_t Ring::used_bytes() const {
    const std::lock_guard lock{mutex_};
    if (live_.empty()) return 0;
    const std::uint64_t first = live_.front().at;
    return next_at_ > first ? next_at_ - first : header_.ring_bytes - first + next_at_;
}

ErrorCode Ring::poison_error() const {
    const std::lock_guard lock{mutex_};
    return poison_error_;
}

ErrorCode Ring::poison(ErrorCode error) {
    {
        const std::lock_guard lock{mutex_};
        if (!poison_error_) poison_error_ = error;
    }
    poisoned_ = true;
    return error;
}

}  // namespace milepost::storage
