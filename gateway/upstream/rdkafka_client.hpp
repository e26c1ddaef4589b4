#pragma once

#include "gateway/upstream/client_settings.hpp"
#include "gateway/upstream/producer.hpp"
#include "gateway/upstream/rdkafka_handles.hpp"
#include "gateway/upstream/tls_reasons.hpp"
#include "gateway/upstream/waker.hpp"
#include "storage/base/result.hpp"

#include <cstddef>
#include <memory>
#include <string>

// librdkafka's producer handle, for the two ways of using it. Only for rdkafka_*.cpp of this room.
namespace milepost::upstream {

// Shared by a producer and its transactions: whoever lets go last destroys it.
using SharedClient = std::shared_ptr<rd_kafka_s>;

// Who is told what librdkafka tells by a callback and not by an event. One for each client of
// make_producer_client, with its lifetime.
struct Hearing {
    ProducerListener* listener = nullptr;  // during serve()
    TlsReasons tls{};                      // from librdkafka's threads
};

[[nodiscard]] Hearing& hearing_of(const SharedClient& client);

// Idempotent and gapless, or transactional if `settings` name an id. `problem` says in words which
// setting librdkafka does not take.
[[nodiscard]] Result<SharedClient> make_producer_client(
    const ProducerSettings& settings,
    std::string& problem
);

[[nodiscard]] std::unique_ptr<Producer> wrap_producer(
    SharedClient client,
    Waker& waker,
    std::size_t header_lists_kept
);

// Sets all of them, the later ones over the earlier.
[[nodiscard]] Result<void> set_properties(
    rd_kafka_conf_s* conf,
    const Properties& properties,
    std::string& problem
);

}  // namespace milepost::upstream
