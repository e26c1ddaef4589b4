#include "storage/journal/ring.hpp"
#include "tests/unit/storage/journal/ring_rig.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <optional>

// A run of groups on a small ring that wraps, with checkpoints behind it, is cut at each of its
// calls; what the next start finds is held against what was promised before the cut (I1 no loss, I4
// no phantom, I5 it starts).

using namespace milepost;
using namespace milepost::storage;
using namespace milepost::test;

namespace {

struct Promised {
    std::map<std::uint64_t, std::string> begun;  // by sequence; the last may be unfinished
    std::uint64_t durable = 0;                   // the last sequence that commit() promised
    std::uint64_t slot_durable = 0;              // the last first-needed that write_slot promised
    std::uint64_t slot_begun = 0;
};

class Run {
public:
    Run(ForgetfulDisk& disk, std::uint64_t seed)
        : disk_(disk)
        , random_(seed) {}

    // Until everything is done or a call fails.
    void go(int groups) {
        if (!start()) return;
        for (int i = 0; i < groups; ++i) {
            if (!commit_one()) return;
            if (random_.chance(1, 6) && !checkpoint_some()) return;
            if (ring_->prewritten_bytes() < ring_->capacity_bytes() && !ring_->prewrite_more())
                return;
        }
    }

    // What the start after a crash found wrong; nothing: all is well. `gone`: it crashed again.
    std::optional<std::string> complaint(bool& gone) {
        gone = false;
        const auto generations = ring_generations(disk_, "journal");
        if (disk_.is_off()) return crashed_again(gone);
        if (!generations || generations->empty()) {
            if (promised_.durable != 0) return "the ring is gone";
            return std::nullopt;
        }
        auto ring = Ring::open(disk_, "journal", 1);
        if (disk_.is_off()) return crashed_again(gone);
        if (!ring) return "it does not start: " + ring.error().message();
        return compare((*ring)->replayed());
    }

private:
    static std::optional<std::string> crashed_again(bool& gone) {
        gone = true;
        return std::nullopt;
    }

    bool start() {
        if (!disk_.make_directory("journal") || !disk_.sync_directory("")) return false;
        auto made = Ring::create(disk_, "journal", ring_header(16), {});
        if (!made) return false;
        ring_ = std::move(*made);
        return true;
    }

    bool commit_one() {
        const std::size_t blocks = 1 + random_.below(3);
        auto slot = ring_->reserve(payload_for(blocks));
        while (!slot) {
            if (ring_->poisoned() || !checkpoint_some()) return false;
            slot = ring_->reserve(payload_for(blocks));
        }
        const std::uint64_t sequence = slot->place.sequence;
        const std::string text = "group " + std::to_string(sequence) + " " +
                                 std::to_string(random_.below(1000));
        promised_.begun[sequence] = text;
        fill(slot->writer, text, blocks);
        if (!ring_->commit(*slot)) return false;
        promised_.durable = sequence;
        return true;
    }

    bool checkpoint_some() {
        const std::uint64_t behind = ring_->next_sequence() - first_;
        if (behind == 0) return true;
        promised_.slot_begun = first_ + 1 + random_.below(behind);
        if (!checkpoint(*ring_, promised_.slot_begun)) return false;
        first_ = promised_.slot_durable = promised_.slot_begun;
        return true;
    }

    std::optional<std::string> compare(const Replay& replay) const {
        if (!replay.slot) return "no slot";
        const std::uint64_t first = replay.slot->checkpoint.first_needed_sequence;
        if (first < promised_.slot_durable) return "an old slot";
        if (first > std::max<std::uint64_t>(promised_.slot_begun, 1)) return "a slot of nobody";
        if (!replay.holes.empty()) return "a hole";
        std::uint64_t next = first;
        for (const ReplayedFrame& frame : replay.frames) {
            if (frame.place.sequence != next) return "frames out of order";
            const auto begun = promised_.begun.find(next);
            if (begun == promised_.begun.end()) return "a frame that nobody wrote";
            if (begun->second != text_of(frame)) return "a frame with other bytes";
            ++next;
        }
        if (next <= promised_.durable)
            return "lost " + std::to_string(promised_.durable + 1 - next);
        if (next > promised_.durable + 2) return "more than was begun";
        if (replay.next_sequence != next) return "a wrong next sequence";
        return std::nullopt;
    }

    ForgetfulDisk& disk_;
    SeededRandom random_;
    std::unique_ptr<Ring> ring_;
    Promised promised_;
    std::uint64_t first_ = 1;
};

struct Tally {
    std::uint64_t states = 0;
    std::uint64_t complaints = 0;
    std::string first_complaint;
};

// Crashes at call `nth`; one time in four again while it starts. False: the run was over before.
bool crash_once(std::uint64_t seed, std::uint64_t nth, const DiskFault& overwrites, Tally& tally) {
    ForgetfulDisk disk{seed * 1000 + nth};
    if (seed % 2 == 0) disk.set_tear(Tear::at_any_byte);
    if (overwrites.lies) disk.fail(DiskCall::overwrite, 1, overwrites);
    Run run{disk, seed};
    disk.crash_at(nth);
    run.go(50);
    const bool was_cut = disk.is_off();
    disk.power_cut();
    disk.clear_faults();
    if (seed % 4 == 3) disk.crash_at(1 + nth % 11);
    bool gone = false;
    auto complaint = run.complaint(gone);
    while (gone) {
        disk.power_cut();
        complaint = run.complaint(gone);
    }
    ++tally.states;
    if (complaint) {
        ++tally.complaints;
        if (tally.first_complaint.empty()) {
            tally.first_complaint = *complaint + ", seed " + std::to_string(seed) + ", call " +
                                    std::to_string(nth);
        }
    }
    return was_cut;
}

Tally crash_everywhere(std::uint64_t seeds, const DiskFault& overwrites) {
    Tally tally;
    for (std::uint64_t seed = 0; seed < seeds; ++seed) {
        std::uint64_t nth = 1;
        while (crash_once(seed, nth, overwrites, tally)) {
            ++nth;
        }
    }
    return tally;
}

}  // namespace

TEST_CASE("ring: a power cut at any call loses nothing that was promised", "[ring][crash]") {
    const Tally tally = crash_everywhere(16, {});
    CAPTURE(tally.first_complaint);
    CHECK(tally.complaints == 0);
    CHECK(tally.states > 1000);
}

TEST_CASE(
    "ring: the alarm works: without the sync of a commit promises are broken",
    "[ring][crash]"
) {
    DiskFault no_sync;
    no_sync.for_ever = true;
    no_sync.lies = true;
    const Tally tally = crash_everywhere(1, no_sync);
    CHECK(tally.complaints > tally.states / 4);
}

TEST_CASE(
    "ring: the alarm works: a sync or a folder sync less when the ring is made is noticed",
    "[ring][crash]"
) {
    const auto call = GENERATE(DiskCall::sync, DiskCall::sync_directory);
    DiskFault once;
    once.lies = true;
    int lost = 0;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        ForgetfulDisk disk{seed};
        Run run{disk, seed};
        // The second folder sync is the ring's own; the first is that of the data folder.
        disk.fail(call, call == DiskCall::sync ? 1 : 2, once);
        run.go(3);
        disk.power_cut();
        bool gone = false;
        lost += run.complaint(gone).has_value() ? 1 : 0;
    }
    CHECK(lost > 0);
}
