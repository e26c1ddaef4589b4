#pragma once

#include <array>
#include <cstdint>
#include <optional>

// Recovery as data. In prose:
//
// Folder. With a journal and a slot the log goes on where they say. Slots that are both unreadable
// cost nothing but time: the first frame that the ring still holds is the first one needed, and the
// last segment of every partition is scanned whole. Without a journal a new one is made, and where
// there are segments its offsets go on behind them.
//
// Segments. What is below the checkpointed length was synced before the slot said so: it is trusted
// here, and readers check every batch. Behind it, whole batches that follow on each other are kept;
// the first one that does not ends the file, which is cut there. A batch that the next segment
// begins with (an earlier checkpoint failed and was written again into a new file) ends it too.
//
// Journal. Frames come in order. A record that the segments have is skipped, the others go to the
// tail. A record behind the end of what is there leaves a hole: it is entered in the gap ledger,
// and the rest serves. A batch that cannot be read inside a good frame is a hole as well.
namespace milepost::storage {

// --- one batch met in a segment file ---

enum class BatchPlace : std::uint8_t { below_checkpoint, behind_checkpoint };

enum class BatchState : std::uint8_t {
    follows,     // whole, CRC right, begins where the one before ended
    overlaps,    // whole, but belongs to the next segment, or begins before the end
    leaves_gap,  // whole, but offsets are missing before it
    torn,        // the file ends inside it
    wrong,       // CRC or header wrong
};

enum class BatchDecision : std::uint8_t { trust, keep, cut };

[[nodiscard]] BatchDecision decide_batch(BatchPlace place, BatchState state);

// --- one records section of a frame ---

enum class SectionOverlap : std::uint8_t {
    in_segments,  // ends at or before the end of what is there
    straddles,    // begins before that end and goes over it
    follows,      // begins at it
    leaves_gap,   // begins behind it
};

enum class SectionState : std::uint8_t { whole, wrong };

enum class SectionDecision : std::uint8_t { skip, take_rest, take, hole_and_take, skip_wrong };

[[nodiscard]] SectionDecision decide_section(SectionOverlap overlap, SectionState state);

// --- the folder ---

enum class JournalState : std::uint8_t {
    there,
    unreadable,  // files are there, but they are no journal of ours: set aside
    missing,
};

enum class FolderDecision : std::uint8_t { go_on, make, make_behind_segments };

[[nodiscard]] FolderDecision decide_folder(JournalState journal, bool has_segments);

// --- the tables themselves, for the test that exactly one row matches every combination ---

// An empty field matches everything.
struct BatchRow {
    std::optional<BatchPlace> place;
    std::optional<BatchState> state;
    BatchDecision then;

    [[nodiscard]] bool matches(BatchPlace p, BatchState s) const {
        return place.value_or(p) == p && state.value_or(s) == s;
    }
};

struct SectionRow {
    std::optional<SectionOverlap> overlap;
    std::optional<SectionState> state;
    SectionDecision then;

    [[nodiscard]] bool matches(SectionOverlap o, SectionState s) const {
        return overlap.value_or(o) == o && state.value_or(s) == s;
    }
};

struct FolderRow {
    std::optional<JournalState> journal;
    std::optional<bool> has_segments;
    FolderDecision then;

    [[nodiscard]] bool matches(JournalState j, bool s) const {
        return journal.value_or(j) == j && has_segments.value_or(s) == s;
    }
};

inline constexpr std::array<BatchRow, 6> batch_table{{
    {BatchPlace::below_checkpoint, std::nullopt, BatchDecision::trust},
    {BatchPlace::behind_checkpoint, BatchState::follows, BatchDecision::keep},
    {BatchPlace::behind_checkpoint, BatchState::overlaps, BatchDecision::cut},
    {BatchPlace::behind_checkpoint, BatchState::leaves_gap, BatchDecision::cut},
    {BatchPlace::behind_checkpoint, BatchState::torn, BatchDecision::cut},
    {BatchPlace::behind_checkpoint, BatchState::wrong, BatchDecision::cut},
}};

inline constexpr std::array<SectionRow, 5> section_table{{
    {std::nullopt, SectionState::wrong, SectionDecision::skip_wrong},
    {SectionOverlap::in_segments, SectionState::whole, SectionDecision::skip},
    {SectionOverlap::straddles, SectionState::whole, SectionDecision::take_rest},
    {SectionOverlap::follows, SectionState::whole, SectionDecision::take},
    {SectionOverlap::leaves_gap, SectionState::whole, SectionDecision::hole_and_take},
}};

inline constexpr std::array<FolderRow, 4> folder_table{{
    {JournalState::there, std::nullopt, FolderDecision::go_on},
    {JournalState::unreadable, std::nullopt, FolderDecision::make_behind_segments},
    {JournalState::missing, true, FolderDecision::make_behind_segments},
    {JournalState::missing, false, FolderDecision::make},
}};

}  // namespace milepost::storage
