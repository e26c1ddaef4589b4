#pragma once

#include "storage/base/result.hpp"
#include "storage/base/time.hpp"
#include "storage/fs/file_system.hpp"
#include "storage/journal/ring.hpp"
#include "storage/log/checkpointer.hpp"
#include "storage/log/committer.hpp"
#include "storage/log/log.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

namespace milepost::storage {

// A journal whose sync failed is left, not mended: storage/FORMAT.md, "A new generation". What is
// durable goes from memory into segments, a ring of the next generation is made, and the sealed
// group is written there, with the offsets and the frame number it has.
//
// Threads: the owner asks, and seals and commits nothing from then on until it has taken an outcome
// without an error. run_if_due: the checkpointer's thread, or the owner where there is none.
class RingRenewal {
public:
    // Renewals that follow on each other without a pause between them; a disk that fails more often
    // than this is left alone for a while.
    static constexpr int quick_renewals_max = 3;

    struct Parts {
        FileSystem& files;
        std::filesystem::path journal_folder;
        std::unique_ptr<Ring>& ring;  // replaced; the old one's mirror goes
        Committer& committer;
        Checkpointer& checkpointer;
        LogStats& stats;
        // Writes what the committer has sealed, and tells readers.
        std::function<ErrorCode()> write_group;
        Duration pause;  // from an attempt that failed to the next one
    };

    explicit RingRenewal(Parts parts)
        : parts_(std::move(parts)) {}

    // --- the owner ---

    // The first attempt is due now, or, after too many, in a while. Gives when.
    Instant ask(Instant now);

    // How the last attempt ended, once; nothing while none has.
    std::optional<ErrorCode> take_outcome();

    // When the next attempt is due; nothing: none is wanted.
    [[nodiscard]] std::optional<Instant> due() const;

    // --- the renewing thread ---

    // One attempt, if it is due. It is asked for again by itself when it fails. True: there was
    // one. Blocks for the disk.
    bool run_if_due(Instant now);

private:
    ErrorCode renew();

    Parts parts_;
    int quick_renewals_ = 0;             // the owner's
    std::optional<Instant> asked_last_;  // the owner's
    mutable std::mutex mutex_;           // guards what follows; never held over I/O
    std::optional<Instant> due_;
    std::optional<ErrorCode> outcome_;
};

}  // namespace milepost::storage
