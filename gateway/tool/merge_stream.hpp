#pragma once

#include "gateway/tool/record_stream.hpp"
#include "gateway/tool/replay_record.hpp"
#include "gateway/tool/selection.hpp"
#include "storage/base/time.hpp"

#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace milepost::tool {

// One partition, at the record that is its next.
class Lane {
public:
    explicit Lane(StreamPosition position)
        : position_(std::move(position)) {}

    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;
    virtual ~Lane() = default;

    // To the next selected record; false: there is none.
    virtual bool advance() = 0;

    // Valid until advance().
    [[nodiscard]] const ReplayRecord& head() const { return head_; }

    [[nodiscard]] const StreamPosition& position() const { return position_; }

    // The head is dealt with.
    void pass() { position_.next = head_.offset + 1; }

protected:
    StreamPosition position_;
    ReplayRecord head_;
};

// The lanes' records by timestamp, each lane's in its own order.
[[nodiscard]] std::unique_ptr<RecordStream> merge_lanes(std::vector<std::unique_ptr<Lane>> lanes);

// What a selection leaves of a partition that has the records from `whole.next` to before
// `whole.end`. `find_timestamp` gives the first offset whose record is not older.
[[nodiscard]] StreamPosition select_range(
    StreamPosition whole,
    const Selection& selection,
    const std::function<storage::Offset(Timestamp)>& find_timestamp
);

}  // namespace milepost::tool
