#pragma once

#include "storage/base/time.hpp"

#include <cstdint>
#include <optional>
#include <queue>
#include <vector>

namespace milepost::listener {

struct Deadline {
    enum class Kind : std::uint8_t { connect, keep_alive, will, expiry, rate, write, intake };

    Instant at{};
    std::uint64_t tag = 0;  // of the connection
    Kind kind = Kind::connect;
};

// What has to be looked at again, and when. Entries are not taken back: who they wake looks whether
// there is still something to do. Pure.
class Deadlines {
public:
    void add(Deadline deadline) { heap_.push(deadline); }

    [[nodiscard]] std::optional<Instant> next() const {
        return heap_.empty() ? std::nullopt : std::optional{heap_.top().at};
    }

    // The earliest that is due, taken out.
    [[nodiscard]] std::optional<Deadline> take_due(Instant now) {
        if (heap_.empty() || heap_.top().at > now) return std::nullopt;
        const Deadline due = heap_.top();
        heap_.pop();
        return due;
    }

private:
    struct Later {
        bool operator()(const Deadline& left, const Deadline& right) const {
            return left.at > right.at;
        }
    };

    std::priority_queue<Deadline, std::vector<Deadline>, Later> heap_;
};

}  // namespace milepost::listener
