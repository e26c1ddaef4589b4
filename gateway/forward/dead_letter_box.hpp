#pragma once

#include "gateway/forward/backoff.hpp"
#include "gateway/forward/chunk.hpp"
#include "storage/base/result.hpp"
#include "storage/base/time.hpp"
#include "storage/log/keeper.hpp"
#include "storage/log/log.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace milepost::forward {

// What setting a record aside needs from outside the forwarder.
struct DeadLetterWiring {
    // Runs a task soon on the thread that owns the log's open group; a task may also be dropped, at
    // the end. Empty: there is no such thread, dead letters cannot be written.
    std::function<void(std::function<void()>)> post;
    // Enters a loss in the gap ledger, durable on return. On the forwarder's thread.
    std::function<Result<void>(const storage::Gap&)> enter;
};

// Sets records aside that Kafka refuses for good: first the dead letter becomes durable, then the
// loss is entered in the gap ledger, and only then the record is passed over. A crash in between
// leaves a second dead letter of the same record at most. One letter at a time, so that memory is
// bounded by the largest record. Thread: the forwarder's.
class DeadLetterBox {
public:
    struct Poison {
        storage::PartitionId partition;
        storage::Offset offset;
        std::string reason;  // the broker's
    };

    struct Done {
        Poison poison;
        std::string problem{};  // why it cannot be set aside, ever; empty: it was
        std::string letter{};   // where the dead letter is
    };

    DeadLetterBox(storage::Log& log, DeadLetterWiring wiring, std::uint64_t seed);
    DeadLetterBox(const DeadLetterBox&) = delete;
    DeadLetterBox& operator=(const DeadLetterBox&) = delete;
    ~DeadLetterBox();

    void put(Poison poison) { waiting_.push_back(std::move(poison)); }

    // Takes the next step; a letter that is finished is given out.
    [[nodiscard]] std::optional<Done> turn(Instant now, Timestamp wall);

    // When turn() has something to do; nullopt: nothing is being set aside.
    [[nodiscard]] std::optional<Duration> wait(Instant now) const;

    // What holds it up at the moment, for people; empty: nothing.
    [[nodiscard]] const std::string& problem() const { return problem_; }

private:
    struct Letter;  // what the owner's thread and this one share

    [[nodiscard]] std::optional<std::string> write(Timestamp wall);
    [[nodiscard]] bool is_durable() const;
    void try_again_later(Instant now, std::string why);
    Done finish(std::string problem);

    storage::Log& log_;
    DeadLetterWiring wiring_;
    std::deque<Poison> waiting_;  // the first one is at hand
    std::shared_ptr<Letter> letter_;
    Timestamp record_time_ = timestamp_none;  // of the record at hand
    Chunk chunk_;
    Backoff backoff_;
    Instant next_at_{};
    std::string problem_;
};

}  // namespace milepost::forward
