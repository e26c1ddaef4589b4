#pragma once

#include "storage/format/offsets.hpp"
#include "storage/log/keeper.hpp"

#include <map>
#include <span>
#include <vector>

namespace milepost::storage {

// The stretches of offsets that the gap ledger has an entry for.
class KnownHoles {
public:
    explicit KnownHoles(std::span<const Gap> gaps);

    // Whether entries cover all of [first, end), be it several together.
    [[nodiscard]] bool cover(const TopicPartition& partition, Offset first, Offset end) const;

private:
    struct Stretch {
        Offset first;
        Offset end;
    };

    std::map<TopicPartition, std::vector<Stretch>> stretches_;  // rising, none touches the next
};

}  // namespace milepost::storage
