#include "storage/log/session_deltas.hpp"

#include <string>
#include <utility>

namespace milepost::storage {

void SessionDeltas::add(std::string_view client_id, Bytes state) {
    items_.push_back(
        {.at = bytes_.size(),
         .client_id_bytes = static_cast<std::uint32_t>(client_id.size()),
         .state_bytes = static_cast<std::uint32_t>(state.size())}
    );
    append_bytes(bytes_, as_bytes(client_id));
    append_bytes(bytes_, state);
}

void SessionDeltas::extend(std::string_view client_id, Bytes change) {
    if (!extends_last(client_id)) return add(client_id, change);
    append_bytes(bytes_, change);
    items_.back().state_bytes += static_cast<std::uint32_t>(change.size());
}

bool SessionDeltas::extends_last(std::string_view client_id) const {
    if (items_.empty()) return false;
    const View last = (*this)[items_.size() - 1];
    return !last.state.empty() && last.client_id == client_id;
}

void SessionDeltas::take(SessionDeltas& others) {
    if (empty()) {
        std::swap(bytes_, others.bytes_);
        std::swap(items_, others.items_);
    } else {
        const std::size_t shift = bytes_.size();
        append_bytes(bytes_, others.bytes_);
        for (Item item : others.items_) {
            item.at += shift;
            items_.push_back(item);
        }
    }
    others.clear();
}

void SessionDeltas::clear() {
    bytes_.clear();
    items_.clear();
}

SessionDeltas::View SessionDeltas::operator[](std::size_t index) const {
    const Item& item = items_[index];
    const Bytes both = Bytes{bytes_}.subspan(item.at, item.client_id_bytes + item.state_bytes);
    return {as_text(both.first(item.client_id_bytes)), both.subspan(item.client_id_bytes)};
}

std::vector<SessionDelta> SessionDeltas::list() const {
    std::vector<SessionDelta> deltas;
    deltas.reserve(items_.size());
    for (std::size_t i = 0; i < items_.size(); ++i) {
        const View delta = (*this)[i];
        deltas.push_back(
            {.client_id = std::string{delta.client_id},
             .state = Buffer{delta.state.begin(), delta.state.end()}}
        );
    }
    return deltas;
}

}  // namespace milepost::storage
