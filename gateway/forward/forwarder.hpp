#pragma once

#include "gateway/forward/dead_letter_box.hpp"
#include "gateway/forward/drain_meter.hpp"
#include "gateway/forward/engine.hpp"
#include "gateway/forward/forward_status.hpp"
#include "gateway/upstream/producer.hpp"
#include "gateway/upstream/transactions.hpp"
#include "gateway/upstream/waker.hpp"
#include "storage/base/result.hpp"
#include "storage/base/time.hpp"
#include "storage/log/keeper.hpp"
#include "storage/log/log.hpp"
#include "storage/meta/database.hpp"
#include "storage/meta/position_store.hpp"

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>

namespace milepost::forward {

// Forwards the log to the upstream on a thread of its own until it is stopped. Wakes for what has
// become durable and for what librdkafka has to say; otherwise it sleeps.
// Lifetime: `log` outlives it. Threads: made, stopped and destroyed by one; status, stats: any.
class Forwarder {
public:
    // Makes a producer whose events end the waker's wait.
    using MakeProducer = std::function<
        Result<std::unique_ptr<upstream::Producer>>(upstream::Waker& waker, std::string& problem)>;
    using MakeTransactional = std::function<Result<
        upstream::TransactionalClient>(std::size_t number, upstream::Waker&, std::string& problem)>;

    // Exactly once, over so many transactional producers.
    struct ExactlyOnce {
        std::size_t producers = 1;  // to lanes_max
        MakeTransactional make;
    };

    // Which of the two it is decides how the log is delivered: at least once, or exactly once.
    using Delivery = std::variant<MakeProducer, ExactlyOnce>;

    // How the forwarder itself writes: the dead letters of records that Kafka refuses.
    struct Writing {
        // As DeadLetterWiring::post.
        std::function<void(std::function<void()>)> post{};
        // The gap ledger has this loss now; may be empty. On the forwarder's thread.
        std::function<void(const storage::Gap&)> on_loss{};
    };

    // `meta`: a connection of its own (open_meta). `log_line` is called on the forwarder's thread.
    // Reads the stored positions before it returns; an error means that they cannot be read.
    static Result<std::unique_ptr<Forwarder>> start(
        const ForwardSettings& settings,
        storage::Log& log,
        storage::Connection meta,
        Delivery delivery,
        Writing writing,
        LogLine log_line
    );

    Forwarder(const Forwarder&) = delete;
    Forwarder& operator=(const Forwarder&) = delete;
    // As stop(0).
    ~Forwarder();

    // Sends what the log still has, waits for confirmations, saves the positions: for `flush_max`
    // together, plus up to 3 s for a producer whose brokers do not answer. Then it is over.
    void stop(Duration flush_max);

    // Durable moved. start() makes it the log's durable notice; whoever sets another one calls it
    // from there. Any thread; quick.
    void on_durable();

    [[nodiscard]] ForwardStatus status() const;

    [[nodiscard]] const ForwardStats& stats() const { return stats_; }

private:
    Forwarder(
        const ForwardSettings& settings,
        storage::Log& log,
        storage::Connection meta,
        Delivery delivery,
        Writing writing,
        LogLine log_line
    );

    [[nodiscard]] std::unique_ptr<Engine> make_engine(
        const ForwardSettings& settings,
        Delivery delivery,
        DeadLetterWiring dead_letters
    );
    Result<void> load();
    Result<void> enter_loss(const storage::Gap& gap);
    void run(const std::stop_token& stopping);
    void flush();
    void save_positions(Instant now, bool at_once);
    void show_status(Instant now, std::optional<Duration> wait);
    [[nodiscard]] std::int64_t backlog() const;
    void sleep(const Engine::Turn& turn);

    storage::Log& log_;
    storage::Connection meta_;
    LogLine log_line_;
    std::function<void(const storage::Gap&)> on_loss_;
    ForwardStats stats_;
    upstream::Waker waker_;
    std::unique_ptr<Engine> engine_;

    std::atomic<bool> asleep_{false};  // a durable notice must wake the thread
    std::optional<Instant> save_at_;   // positions wait to be saved then
    Instant saved_at_{};
    std::string save_problem_;
    Instant shown_at_{};
    DrainMeter drain_;
    std::atomic<Duration::rep> flush_max_{0};

    mutable std::mutex status_mutex_;
    ForwardStatus status_;

    std::jthread thread_;  // last: uses all of the above
};

}  // namespace milepost::forward
