#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>

namespace milepost::tool {

// Blocks of records whose values are read where they lie: each is held until the last of its
// records that are on their way is reported. Thread: one.
class HeldBlocks {
public:
    using Block = std::shared_ptr<const void>;

    // One more record of the block is on its way. Its tag, never 0, comes back in its report.
    std::uint64_t hold(const Block& block);
    // A record is reported, whatever became of it.
    void release(std::uint64_t tag);

    [[nodiscard]] std::size_t count() const { return count_; }

private:
    struct Held {
        Block block;
        std::size_t records = 0;
    };

    std::deque<Held>
        held_;  // as they came; one that was let go stays until those before it are, too
    std::uint64_t first_tag_ = 1;
    std::size_t count_ = 0;
};

}  // namespace milepost::tool
