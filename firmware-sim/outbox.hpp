#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace milepost::fleet {

// What a vehicle keeps until the gateway has acknowledged it: a bounded queue in the order of the
// sequence numbers. A reading is *waiting* until it is handed to the network, *handed* until its
// acknowledgement. Pure.
// When it is full, the oldest waiting reading makes room: a reading that was handed may already be
// in the gateway, and the newest say more about a vehicle than the oldest.
class Outbox {
public:
    struct Entry {
        std::uint64_t seq;
        std::string payload;
        bool handed = false;         // in the hands of the network now
        bool handed_before = false;  // at any time
        bool is_stored = false;      // in the flash: survives a reboot
    };

    // `readings_max` is at least 1.
    explicit Outbox(std::size_t readings_max);

    // Takes a reading with a higher number than any before. Gives the number of the reading that
    // had to go: an older one, or this one if all others are handed.
    [[nodiscard]] std::optional<std::uint64_t> push(std::uint64_t seq, std::string payload);

    // The oldest waiting reading, or nullptr. Valid until the next call that changes the outbox.
    [[nodiscard]] const Entry* next_waiting() const;

    // The reading that next_waiting() showed is now in the hands of the network. True the first
    // time.
    bool mark_handed();

    // It is acknowledged, or refused for good: forget it. False if it is not here (any more).
    bool remove(std::uint64_t seq);

    // The network has lost every handed reading: all are waiting again, in their order.
    void take_back_all();

    // The network has lost this one. False if it is not here or was not handed.
    bool take_back(std::uint64_t seq);

    // Writes to the flash what it has room for, oldest first: at most `stored_max` readings are
    // there. What leaves the outbox leaves the flash.
    void store(std::size_t stored_max);

    // The vehicle's computer starts anew: what was not stored is gone, what was is waiting again.
    // The numbers that are gone.
    std::vector<std::uint64_t> reboot();

    [[nodiscard]] std::size_t size() const { return entries_.size(); }

    [[nodiscard]] std::size_t handed() const { return handed_; }

private:
    std::deque<Entry>::iterator find(std::uint64_t seq);
    void move_waiting_to_first_from(std::size_t index);

    void erase(std::deque<Entry>::iterator entry);

    std::size_t readings_max_;
    std::deque<Entry> entries_;      // rising numbers
    std::size_t handed_ = 0;         // entries with handed set
    std::size_t stored_ = 0;         // entries with is_stored set
    std::size_t first_waiting_ = 0;  // index of the first entry that is not handed
};

}  // namespace milepost::fleet
