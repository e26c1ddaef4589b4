#pragma once

#include "gateway/upstream/client_settings.hpp"
#include "gateway/upstream/producer.hpp"
#include "gateway/upstream/transactions.hpp"
#include "gateway/upstream/waker.hpp"
#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"

#include <memory>
#include <string>

namespace milepost::upstream {

// librdkafka as an idempotent, gapless producer that retries for ever. Whatever happens in its
// threads ends `waker`'s wait, which must outlive it. `problem` says in words why there is no
// producer: settings that librdkafka does not take.
[[nodiscard]] Result<std::unique_ptr<Producer>> make_rdkafka_producer(
    const ProducerSettings& settings,
    Waker& waker,
    std::string& problem
);

// librdkafka as a transactional producer with `settings.transactional_id`, and its transactions,
// which keep the positions of `settings.group_id`. Otherwise as above.
[[nodiscard]] Result<TransactionalClient> make_rdkafka_transactional(
    const ProducerSettings& settings,
    Waker& waker,
    std::string& problem
);

// The partition that Kafka's Java client gives a record with this key: murmur2. `partitions` > 0.
[[nodiscard]] std::int32_t murmur2_partition(Bytes key, std::int32_t partitions);

}  // namespace milepost::upstream
