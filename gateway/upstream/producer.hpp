#pragma once

#include "gateway/upstream/errc.hpp"
#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"
#include "storage/base/strong_int.hpp"
#include "storage/base/time.hpp"
#include "storage/format/record.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace milepost::upstream {

// A topic that a producer has opened: dense, from 0, valid for that producer.
struct TopicIdTag;
using TopicId = StrongInt<TopicIdTag, std::uint32_t>;

// A record on its way to the upstream. All views; valid during the call that takes it, but for a
// value that is kept.
struct OutgoingRecord {
    TopicId topic;
    std::int32_t partition = 0;
    Timestamp timestamp;
    std::optional<Bytes> key;  // nullopt: null
    std::optional<Bytes> value;
    std::span<const storage::HeaderView> headers;
    std::uint64_t tag = 0;  // comes back in the record's report
    // The value's bytes stay as they are until the record is reported, so they are not copied.
    bool is_value_kept = false;
};

// What became of one record: confirmed with acks=all (Fault::none), or not.
struct DeliveryReport {
    std::uint64_t tag = 0;
    std::size_t bytes = 0;  // of key and value
    Fault fault = Fault::none;
    int code = 0;  // upstream_error(code)
};

struct TopicMetadata {
    std::int32_t partitions = 0;  // 0 with an error
    ErrorCode error;              // Fault::topic: missing or forbidden
};

// What a producer tells; called only inside serve(), on its caller's thread.
class ProducerListener {
public:
    ProducerListener() = default;
    ProducerListener(const ProducerListener&) = delete;
    ProducerListener& operator=(const ProducerListener&) = delete;
    virtual ~ProducerListener() = default;

    // Reports of one partition come in the order of its records.
    virtual void on_reports(std::span<const DeliveryReport> reports) = 0;
    // Something went wrong with the connection or the producer; `text` is for people.
    virtual void on_error(const ErrorCode& error, std::string_view text) = 0;
    // How many brokers are connected; told from time to time.
    virtual void on_brokers(std::uint32_t connected) = 0;

    // A broker's quota holds this client back: it answers nothing for `held`.
    virtual void on_throttled(Duration held) { static_cast<void>(held); }

    // A line of the client library, already rate-limited. `level` as syslog's: 0 worst, 7 debug.
    virtual void on_log(int level, std::string_view text) = 0;
};

// A Kafka producer with acks=all that keeps the order of each partition and never gives up by
// itself. Thread: all calls from one; what happens in the background ends its owner's Waker's wait.
// Destruction does not wait for records; it takes a few seconds at most.
class Producer {
public:
    Producer() = default;
    Producer(const Producer&) = delete;
    Producer& operator=(const Producer&) = delete;
    virtual ~Producer() = default;

    virtual Result<TopicId> open_topic(std::string_view name) = 0;
    // Asks the brokers about all opened topics; blocks for at most `wait_max`. A vector in the
    // order of their ids, or the error that no broker answered.
    virtual Result<std::vector<TopicMetadata>> metadata(Duration wait_max) = 0;
    // Blocks for at most `wait_max`. A topic that exists is no error.
    virtual Result<void> create_topic(
        std::string_view name,
        std::int32_t partitions,
        Duration wait_max
    ) = 0;

    // Takes a record into the queue, or says why not (Fault::queue_full, record, …).
    virtual ErrorCode produce(const OutgoingRecord& record) = 0;
    // Hands out everything that has happened, without waiting.
    virtual void serve(ProducerListener& listener) = 0;
    // The reason why this producer will never send again.
    [[nodiscard]] virtual std::optional<std::string> fatal_reason() const = 0;
    // Gives up what was not sent yet: it is reported as failed by serve().
    virtual void purge_queue() = 0;
};

}  // namespace milepost::upstream
