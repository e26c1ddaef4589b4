#pragma once

#include <cstdint>

namespace milepost::forward {

// How many records of a partition may be on their way together, after Kafka has refused some of
// it: a broker refuses a whole batch, for one record's sake or because the batch is too large, and
// does not say which. Fewer go together until one is refused alone; then more again, the slower
// the oftener that ended in a refusal. Pure.
class RunLimit {
public:
    // From here on no limit is needed: librdkafka's batches have at most half as many.
    static constexpr std::int64_t records_most = 20'000;
    static constexpr std::int64_t patience_most = 1024;

    [[nodiscard]] bool is_limited() const { return records_ > 0; }

    // While is_limited().
    [[nodiscard]] std::int64_t records() const { return records_; }

    // So many that went together were refused; more than one.
    void refused(std::int64_t count);
    // One was refused that went alone.
    void found();
    // A whole run went through.
    void succeeded();

private:
    std::int64_t records_ = 0;   // 0: not limited
    std::int64_t patience_ = 1;  // runs that must go through before they become longer
    std::int64_t good_runs_ = 0;
};

}  // namespace milepost::forward
