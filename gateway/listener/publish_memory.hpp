#pragma once

#include "gateway/mqtt/packet.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace milepost::listener {

// One publish as a session remembers it.
struct Remembered {
    std::uint64_t hash = 0;  // content_hash()
    mqtt::PacketId packet_id = 0;

    friend bool operator==(const Remembered&, const Remembered&) = default;
};

// The last QoS 1 publishes of one session: what a device may send again because it has not seen the
// PUBACK. As many as it may have in flight (5.0's Receive Maximum) when the limit is at its
// default.
class DuplicateWindow {
public:
    static constexpr std::size_t entries_max = 256;

    void add(Remembered publish);
    // In place of the oldest, so that the window does not grow; an empty one stays empty.
    void add_in_place(Remembered publish);
    // The same, and if it is there already it is only the youngest again.
    void add_again(Remembered publish);
    [[nodiscard]] bool contains(Remembered publish) const;

    [[nodiscard]] std::size_t size() const { return entries_.size(); }

    // Calls `take(entry)` from the oldest to the youngest.
    template <class Take>
    void for_each(Take take) const {
        for (std::size_t i = 0; i < entries_.size(); ++i) {
            take(entries_[(oldest_ + i) % entries_.size()]);
        }
    }

private:
    std::vector<Remembered> entries_;  // a ring once it is full
    std::size_t oldest_ = 0;
};

// The QoS 2 publishes of one session that are in the log and whose PUBREL has not come: "method A"
// of MQTT 5.0, section 4.3.3.
class UnreleasedPublishes {
public:
    // Null: no publish of that packet id waits.
    [[nodiscard]] const Remembered* find(mqtt::PacketId packet_id) const;
    // Puts it in, in place of one with the same packet id.
    void put(Remembered publish);
    // False: there was none.
    bool erase(mqtt::PacketId packet_id);

    [[nodiscard]] std::size_t size() const { return entries_.size(); }

    // By packet id.
    [[nodiscard]] const std::vector<Remembered>& entries() const { return entries_; }

private:
    std::vector<Remembered> entries_;  // sorted; ids mostly rise, so that mostly the end moves
};

// What a session knows of its publishes.
struct PublishMemory {
    DuplicateWindow window;
    UnreleasedPublishes unreleased;

    [[nodiscard]] bool empty() const { return size() == 0; }

    // Publishes in all.
    [[nodiscard]] std::size_t size() const { return window.size() + unreleased.size(); }
};

}  // namespace milepost::listener
