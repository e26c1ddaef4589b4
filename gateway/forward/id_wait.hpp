#pragma once

#include "gateway/forward/backoff.hpp"
#include "gateway/upstream/producer.hpp"
#include "storage/base/time.hpp"

#include <cstdint>

namespace milepost::forward {

// A producer's wait for the id that Kafka gives it. From a broker that has just started and cannot
// give one yet librdkafka asks for it again after half a second, which no setting changes, and so
// does its search for a transaction's coordinator; but both go on at once whenever metadata comes.
// So until the id is there metadata is asked for, soon and then less often. Part of an engine.
class IdWait {
public:
    explicit IdWait(std::uint64_t seed);

    // A producer was made.
    void begin(Instant now);

    // It has its id.
    void end() { is_waiting_ = false; }

    [[nodiscard]] bool is_waiting() const { return is_waiting_; }

    // Asks if it is time, and blocks for up to a second then. The producer has opened a topic: with
    // none it would ask for all that the cluster has. True if a broker has answered.
    bool turn(upstream::Producer& producer, Instant now);

    // Since begin().
    [[nodiscard]] bool has_met_broker() const { return has_met_broker_; }

    // Until turn() asks again; for one that is waiting.
    [[nodiscard]] Duration wait(Instant now) const { return next_at_ - now; }

private:
    bool is_waiting_ = false;
    bool has_met_broker_ = false;
    Instant next_at_{};
    Backoff backoff_;
};

}  // namespace milepost::forward
