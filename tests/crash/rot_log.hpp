#pragma once

#include "storage/log/disk_log.hpp"
#include "tests/support/forgetful_disk.hpp"
#include "tests/support/log_parts.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace milepost::test {

// A small log at rest, with a bit of everything: a ring that has come round, two slots, a sealed
// segment and an active one that goes on behind the checkpoint. It is damaged in one place, opened,
// and read. What must come of it is worked out here from the prose of storage/FORMAT.md ("Recovery
// in words") and from the bytes, not with the code that is tested.
class RotLog {
public:
    struct Outcome {
        std::vector<std::int64_t> offsets;                        // that can be read
        std::vector<std::pair<std::int64_t, std::int64_t>> gaps;  // that recovery reported
        std::int64_t durable = 0;

        friend bool operator==(const Outcome&, const Outcome&) = default;
    };

    RotLog();

    // The files to damage.
    [[nodiscard]] static std::string journal() { return "/data/journal/ring-00000001"; }

    [[nodiscard]] std::string sealed() const { return segment(sealed_base_); }

    [[nodiscard]] std::string active() const { return segment(active_base_); }

    [[nodiscard]] std::uint64_t bytes(const std::string& file) const;

    [[nodiscard]] std::uint64_t last_batch_of_sealed() const {
        return sealed_batches_.back().begin;
    }

    // What must come of a bit flipped in that byte …
    [[nodiscard]] Outcome after_flip_in_journal(std::uint64_t byte) const;
    [[nodiscard]] Outcome after_flip_in_segment(const std::string& file, std::uint64_t byte) const;
    // … and of a file that ends there.
    [[nodiscard]] Outcome after_cut_of_journal(std::uint64_t bytes) const;
    [[nodiscard]] Outcome after_cut_of_segment(const std::string& file, std::uint64_t bytes) const;

    [[nodiscard]] Outcome whole() const;

    // Opens it as it is and reads everything. Read only: the disk is left as it is.
    Outcome read();
    // Opens it for writing, appends one record, makes a checkpoint, opens and reads again: the
    // outcome of the first opening. Throws if the second one lost anything of that.
    Outcome read_and_go_on();

    ForgetfulDisk disk;

private:
    enum class FrameState : std::uint8_t { whole, begun, gone };

    // A frame that the newest slot says is needed.
    struct Frame {
        std::uint64_t sequence;
        std::uint64_t block;  // of the ring, where it begins
        std::uint64_t blocks;
        std::int64_t record;               // its offset; negative: it holds a session
        std::uint64_t padding_begins = 0;  // in the file
        FrameState state = FrameState::whole;
    };

    struct Batch {
        std::uint64_t begin;
        std::uint64_t end;
        std::int64_t first;
        std::int64_t next;
    };

    [[nodiscard]] static std::string segment(std::int64_t base);
    [[nodiscard]] const std::vector<Batch>& batches(const std::string& file) const;
    [[nodiscard]] std::vector<Batch> look_for_batches(const std::string& file) const;
    [[nodiscard]] static Outcome after_frames(std::vector<Frame> frames);
    [[nodiscard]] std::uint64_t look_for_padding(const Frame& frame) const;
    [[nodiscard]] static Outcome read(storage::DiskLog& log, const storage::RecoveryReport& report);
    void build();
    void put(storage::DiskLog& log, std::size_t value_bytes);
    std::unique_ptr<storage::DiskLog> open(storage::RecoveryReport& report);

    RecordingKeeper keeper_;
    RecordingListener listener_;
    std::vector<Frame> frames_;
    std::int64_t sealed_base_ = 0;
    std::int64_t active_base_ = 0;
    std::uint64_t checkpointed_bytes_ = 0;  // of the active segment
    std::vector<Batch> sealed_batches_;
    std::vector<Batch> active_batches_;
};

}  // namespace milepost::test
