#pragma once

#include "gateway/upstream/errc.hpp"
#include "gateway/upstream/producer.hpp"
#include "storage/base/result.hpp"
#include "storage/base/time.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace milepost::upstream {

// A forward position as Kafka keeps it: the committed offset of a group that nobody subscribes
// with, under the topic and partition that the records go to.
struct GroupPosition {
    std::string topic;
    std::int32_t partition = 0;
    std::int64_t offset = -1;  // the next one; below 0: Kafka has none
    std::string metadata{};
};

// What a transactional producer can be asked to do that takes a round trip or more.
enum class Step : std::uint8_t {
    init,            // fences a predecessor of the same id and ends its transaction; once, first
    read_positions,  // of the group; only what no open transaction may still change
    send_positions,  // into the transaction that was begun
    commit,          // waits for the records that are on their way
    abort,
};

[[nodiscard]] std::string_view step_name(Step step);

enum class StepResult : std::uint8_t {
    done,
    again,  // the same step may be started again
    abort,  // the transaction must be aborted
    fatal,  // the producer is finished
};

struct StepDone {
    Step step = Step::init;
    StepResult result = StepResult::done;
    ErrorCode error{};
    std::string text{};                      // of the error, for people
    std::optional<Duration> took{};          // nullopt: as long as it looks to the owner
    std::vector<GroupPosition> positions{};  // of read_positions, as asked
};

// The transactions of one producer. Steps run in the background, one at a time; their end ends the
// owner's Waker's wait, and take_done() gives it out. Meanwhile the owner goes on to serve the
// producer: a step may wait for reports to be taken. Thread: as the producer's.
// Destruction does not wait for a step that hangs.
class Transactions {
public:
    Transactions() = default;
    Transactions(const Transactions&) = delete;
    Transactions& operator=(const Transactions&) = delete;
    virtual ~Transactions() = default;

    // `positions`: which to read (topic and partition), or what to send.
    virtual void start(Step step, std::vector<GroupPosition> positions) = 0;
    [[nodiscard]] virtual std::optional<StepDone> take_done() = 0;
    // Begins a transaction; records may be produced until it is committed or aborted.
    virtual ErrorCode begin() = 0;
};

struct TransactionalClient {
    std::unique_ptr<Producer> producer;
    std::unique_ptr<Transactions> transactions;
};

}  // namespace milepost::upstream
