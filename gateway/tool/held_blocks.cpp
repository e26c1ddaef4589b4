#include "gateway/tool/held_blocks.hpp"

#include "storage/base/check.hpp"

namespace milepost::tool {

std::uint64_t HeldBlocks::hold(const Block& block) {
    if (held_.empty() || held_.back().block != block) {
        held_.push_back({.block = block});
        ++count_;
    }
    ++held_.back().records;
    return first_tag_ + held_.size() - 1;
}

void HeldBlocks::release(std::uint64_t tag) {
    MILEPOST_CHECK(tag >= first_tag_ && tag - first_tag_ < held_.size());
    auto& held = held_[tag - first_tag_];
    MILEPOST_CHECK(held.records > 0);
    if (--held.records > 0) return;
    held.block.reset();
    --count_;
    while (!held_.empty() && held_.front().records == 0) {
        held_.pop_front();
        ++first_tag_;
    }
}

}  // namespace milepost::tool
