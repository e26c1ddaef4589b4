#include "storage/format/record.hpp"

#include "storage/format/varint.hpp"

namespace milepost::storage {

std::optional<HeaderView> HeaderCursor::next() {
    if (left_ == 0) return std::nullopt;
    const auto name_bytes = read_varint(rest_);
    if (!name_bytes || *name_bytes < 0) return std::nullopt;
    const auto name = rest_.bytes(static_cast<std::size_t>(*name_bytes));
    if (!name) return std::nullopt;
    const auto value_bytes = read_varint(rest_);
    if (!value_bytes || *value_bytes < -1) return std::nullopt;
    const auto value = rest_.bytes(*value_bytes < 0 ? 0 : static_cast<std::size_t>(*value_bytes));
    if (!value) return std::nullopt;
    --left_;
    return HeaderView{.name = as_text(*name), .value = *value};
}

}  // namespace milepost::storage
