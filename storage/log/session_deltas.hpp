#pragma once

#include "storage/base/bytes.hpp"
#include "storage/log/keeper.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace milepost::storage {

// Session deltas in the order in which they came, one behind the other in one buffer: a publish
// of a kept session brings one, so none may cost an allocation once the buffer is warm.
class SessionDeltas {
public:
    struct View {
        std::string_view client_id;
        Bytes state;  // empty: the session is gone
    };

    // A delta of its own.
    void add(std::string_view client_id, Bytes state);
    // Puts `change` behind the last delta if that one is of the same client and takes changes, else
    // makes a new one. `change` is not empty.
    void extend(std::string_view client_id, Bytes change);
    // Whether extend() would put a change of this client behind the last delta.
    [[nodiscard]] bool extends_last(std::string_view client_id) const;
    // All of `others` behind these; `others` is then empty.
    void take(SessionDeltas& others);
    void clear();

    [[nodiscard]] bool empty() const { return items_.empty(); }

    [[nodiscard]] std::size_t size() const { return items_.size(); }

    [[nodiscard]] View operator[](std::size_t index) const;

    // The same with memory of their own, for the Keeper.
    [[nodiscard]] std::vector<SessionDelta> list() const;

private:
    struct Item {
        std::size_t at = 0;
        std::uint32_t client_id_bytes = 0;
        std::uint32_t state_bytes = 0;
    };

    Buffer bytes_;
    std::vector<Item> items_;
};

}  // namespace milepost::storage
