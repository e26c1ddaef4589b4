#pragma once

#include "storage/base/units.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace milepost::upstream {

using Properties = std::vector<std::pair<std::string, std::string>>;

// How to reach the upstream; the same for the gateway's producer and the tool's consumer.
struct ClientSettings {
    std::string bootstrap_servers;
    std::string client_id = "milepost";
    Properties properties{};  // [upstream.librdkafka], each passed by check_property
};

// Limits of the producer's own queue. The log is the buffer, so this one stays small.
inline constexpr std::size_t queue_messages_default = 48'000;
inline constexpr std::size_t queue_bytes_default = 32 * mib;
inline constexpr std::size_t queue_bytes_small_memory = 16 * mib;  // under 1 GiB of memory
// The largest record of the log, plus the headers that forwarding adds, in one batch; under a
// broker's default of 1,048,588.
inline constexpr std::size_t request_bytes_max = 1'048'576;

// From a transaction's first step to its end; Kafka's brokers accept up to 15 minutes. A gateway
// that dies for good holds up readers with read_committed for as long.
inline constexpr std::chrono::milliseconds transaction_timeout{60'000};

struct ProducerSettings {
    ClientSettings client;
    std::string transactional_id{};  // empty: idempotent, without transactions
    std::string group_id{};          // keeps the positions that transactions carry
    std::string compression = "lz4";
    std::size_t queue_messages = queue_messages_default;
    std::size_t queue_bytes = queue_bytes_default;
    std::chrono::milliseconds linger{5};  // without transactions
    // Of one try of a commit or an abort. Longer than the forwarder is patient (30 s), so that it
    // decides; not for ever, so that a try that it gave up ends and the client with it.
    std::chrono::milliseconds transaction_wait{40'000};
    // Lists of headers that wait to be used again: memory, and faster for it.
    std::size_t header_lists_kept = 0;
    // Of values that are not copied, what they lie in: let go when the client has ended.
    std::shared_ptr<const void> kept{};
};

// Why a property of [upstream.librdkafka] is not accepted: it would break a promise, has a key of
// its own, is unknown to librdkafka or has a value that it does not take. nullopt: accepted. Pure.
[[nodiscard]] std::optional<std::string> check_property(
    std::string_view name,
    std::string_view value
);

// The same for what librdkafka refuses only of a producer with transactions, and only when that is
// made. For properties that check_property accepts.
[[nodiscard]] std::optional<std::string> check_transactional_property(
    std::string_view name,
    std::string_view value
);

// One line when the library cannot do what the properties ask for (SCRAM before 2.6.1 against
// Kafka 4); `library_version` as rd_kafka_version() gives it.
[[nodiscard]] std::optional<std::string> library_warning(
    const Properties& properties,
    int library_version
);
// Whether logging in takes a plug-in of the SASL library: Kerberos (GSSAPI, which is what
// librdkafka uses when no mechanism is set). The other mechanisms are librdkafka's own.
[[nodiscard]] bool needs_sasl_plugins(const Properties& properties);
[[nodiscard]] int library_version();
[[nodiscard]] std::string library_version_text();

}  // namespace milepost::upstream
