#include "gateway/tool/merge_stream.hpp"

#include <algorithm>
#include <tuple>

namespace milepost::tool {

namespace {

class MergeStream final : public RecordStream {
public:
    explicit MergeStream(std::vector<std::unique_ptr<Lane>> lanes)
        : lanes_(std::move(lanes))
        , all_(left()) {}

    const ReplayRecord* next() override {
        if (!is_begun_) {
            is_begun_ = true;
            for (std::size_t i = 0; i < lanes_.size(); ++i)
                push(i);
        } else if (!heads_.empty()) {
            const auto last = heads_.front().lane;
            std::ranges::pop_heap(heads_, later);
            heads_.pop_back();
            push(last);
        }
        return heads_.empty() ? nullptr : &lanes_[heads_.front().lane]->head();
    }

    void pass() override { lanes_[heads_.front().lane]->pass(); }

    [[nodiscard]] std::vector<StreamPosition> positions() const override {
        std::vector<StreamPosition> all;
        for (const auto& lane : lanes_)
            all.push_back(lane->position());
        return all;
    }

    [[nodiscard]] StreamProgress progress() const override {
        return {.done = all_ - std::min(left(), all_), .all = all_};
    }

private:
    struct Head {
        Timestamp timestamp;
        std::size_t lane = 0;
    };

    static bool later(const Head& left, const Head& right) {
        return std::tie(left.timestamp, left.lane) > std::tie(right.timestamp, right.lane);
    }

    void push(std::size_t lane) {
        if (!lanes_[lane]->advance()) return;
        heads_.push_back({.timestamp = lanes_[lane]->head().timestamp, .lane = lane});
        std::ranges::push_heap(heads_, later);
    }

    [[nodiscard]] std::uint64_t left() const {
        std::uint64_t left = 0;
        for (const auto& lane : lanes_)
            left += static_cast<std::uint64_t>(lane->position().end - lane->position().next);
        return left;
    }

    std::vector<std::unique_ptr<Lane>> lanes_;
    std::vector<Head> heads_;  // a heap; the front one was given
    bool is_begun_ = false;
    std::uint64_t all_;
};

}  // namespace

std::unique_ptr<RecordStream> merge_lanes(std::vector<std::unique_ptr<Lane>> lanes) {
    return std::make_unique<MergeStream>(std::move(lanes));
}

StreamPosition select_range(
    StreamPosition whole,
    const Selection& selection,
    const std::function<storage::Offset(Timestamp)>& find_timestamp
) {
    const auto not_before = [&](storage::Offset offset) {
        whole.next = std::max(whole.next, offset);
    };
    const auto not_behind = [&](storage::Offset offset) {
        whole.end = std::min(whole.end, offset);
    };
    if (selection.offsets.first) not_before(storage::Offset{*selection.offsets.first});
    if (selection.offsets.end) not_behind(storage::Offset{*selection.offsets.end});
    if (selection.since) not_before(find_timestamp(*selection.since));
    if (selection.until) not_behind(find_timestamp(*selection.until));
    whole.next = std::min(whole.next, whole.end);
    return whole;
}

}  // namespace milepost::tool
