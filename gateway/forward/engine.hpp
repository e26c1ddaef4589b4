#pragma once

#include "gateway/forward/forward_status.hpp"
#include "gateway/forward/rate_limit.hpp"
#include "gateway/forward/shares.hpp"
#include "gateway/upstream/client_settings.hpp"
#include "gateway/upstream/producer.hpp"
#include "gateway/upstream/transactions.hpp"
#include "storage/base/result.hpp"
#include "storage/base/time.hpp"
#include "storage/log/keeper.hpp"
#include "storage/meta/position_store.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace milepost::forward {

// What to do where Kafka has no position any more and the gateway has forwarded before.
enum class MissingPosition : std::uint8_t { local, earliest, fail };

// Whether the positions go into a transaction before its records; automatic: on short round trips.
enum class PositionFirst : std::uint8_t { automatic, always, never };

struct ForwardSettings {
    std::string gateway_id;
    bool create_topics = false;
    std::size_t queue_messages = upstream::queue_messages_default;  // of all producers together
    std::size_t queue_bytes = upstream::queue_bytes_default;
    Rates rates{};                                              // the same
    std::map<std::string, Priority, std::less<>> priorities{};  // by topic; others: normal
    std::uint64_t seed = 1;  // of the back-off's jitter: different on each gateway
    // exactly_once:
    std::string instance_id = "0";  // of this process; random, without spaces
    MissingPosition on_missing_position = MissingPosition::local;
    PositionFirst position_first = PositionFirst::automatic;
};

// A new producer, or why there is none (`problem` in words).
using ProducerFactory =
    std::function<Result<std::unique_ptr<upstream::Producer>>(std::string& problem)>;
// The same for the transactional producer with that number.
using TransactionalFactory =
    std::function<Result<upstream::TransactionalClient>(std::size_t number, std::string& problem)>;
// A line for the gateway's log; `level` as syslog's.
using LogLine = std::function<void(int level, std::string_view text)>;

// While something is in flight it is looked at this often, and called stuck after so long without
// progress.
inline constexpr std::chrono::seconds look_round{1};
inline constexpr std::chrono::seconds no_progress_after{30};

inline constexpr int level_error = 3;
inline constexpr int level_warning = 4;
inline constexpr int level_notice = 5;

// Forwarding as a machine that is turned by its owner: no thread, no clock. Reads the log, hands
// records to a producer, moves `forwarded` over what the upstream has for good.
class Engine {
public:
    // What turn() came to.
    struct Turn {
        // Turn again after this long at the latest, and at each wake; nullopt: only when woken.
        std::optional<Duration> wait{};
        std::size_t sent = 0;
        bool caught_up = true;  // nothing durable is waiting that could be sent
        // What becomes durable during `wait` is no reason to turn again.
        bool gathering = false;
        // All that there was is sent: a report is no reason to turn again soon, either.
        bool may_rest = false;
    };

    Engine() = default;
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;
    virtual ~Engine() = default;

    // Before the first turn. `poison`: what the gap ledger has of records that were set aside.
    virtual void load(
        std::span<const storage::ForwardPosition> positions,
        std::span<const storage::Gap> poison
    ) = 0;
    // May ask the brokers about topics, which takes up to a second.
    virtual Turn turn(Instant now, Timestamp wall) = 0;
    // Nothing is taken from the log any more; what is in flight is still waited for by turn().
    virtual void stop_reading() = 0;
    // The producer goes, and what was in flight is not waited for. After the last turn.
    virtual void close() = 0;
    // Something became sendable that the last turn did not see.
    [[nodiscard]] virtual bool has_more() = 0;
    // Records that the upstream may have, or have in part, and that do not count as forwarded.
    [[nodiscard]] virtual std::uint64_t in_flight() const = 0;
    // Positions that the store does not have yet; mark_saved when it has them.
    [[nodiscard]] virtual std::vector<storage::ForwardPosition> unsaved() const = 0;
    virtual void mark_saved(std::span<const storage::ForwardPosition> positions) = 0;
    [[nodiscard]] virtual ForwardStatus status(Instant now, Timestamp wall) const = 0;
};

}  // namespace milepost::forward
