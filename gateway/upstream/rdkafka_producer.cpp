#include "gateway/upstream/rdkafka_producer.hpp"

#include "gateway/upstream/line_limit.hpp"
#include "gateway/upstream/rdkafka_client.hpp"
#include "gateway/upstream/rdkafka_handles.hpp"
#include "gateway/upstream/rdkafka_headers.hpp"
#include "storage/base/check.hpp"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>
#include <vector>

namespace milepost::upstream {

namespace {

constexpr std::size_t reports_per_call = 512;
// key, value, topic, partition, timestamp, flags, opaque, headers
constexpr std::size_t produce_parts_max = 8;
constexpr std::uint64_t wake_payload = 1;
constexpr std::chrono::milliseconds connect_wait{50};

static_assert(sizeof(void*) == sizeof(std::uint64_t), "a tag travels as a message's opaque");

struct DestroyEvent {
    void operator()(rd_kafka_event_t* event) const { rd_kafka_event_destroy(event); }
};

struct DestroyError {
    void operator()(rd_kafka_error_t* error) const { rd_kafka_error_destroy(error); }
};

struct DestroyNewTopic {
    void operator()(rd_kafka_NewTopic_t* topic) const { rd_kafka_NewTopic_destroy(topic); }
};

using EventHandle = std::unique_ptr<rd_kafka_event_t, DestroyEvent>;

int milliseconds(Duration wait_max) {
    const auto count = std::chrono::duration_cast<std::chrono::milliseconds>(wait_max).count();
    return static_cast<int>(std::clamp<std::int64_t>(count, 0, 60'000));
}

// librdkafka takes bytes that it only copies by a pointer to non-const.
void* not_const(const void* data) {
    return const_cast<void*>(data);  // NOLINT(cppcoreguidelines-pro-type-const-cast)
}

void* opaque_of(std::uint64_t tag) {
    return reinterpret_cast<void*>(tag);  // NOLINT(performance-no-int-to-ptr)
}

// Brokers, not bootstrap addresses, that are connected: `"nodeid":N … "state":"UP"` in librdkafka's
// statistics, whose layout STATISTICS.md fixes.
std::uint32_t brokers_up(std::string_view json) {
    constexpr std::string_view node_key = "\"nodeid\":";
    constexpr std::string_view state_key = "\"state\":";
    constexpr std::string_view up = "\"UP\"";
    std::uint32_t count = 0;
    std::size_t at = json.find(node_key);
    while (at != std::string_view::npos) {
        at += node_key.size();
        const std::size_t next = json.find(node_key, at);
        const bool known = at < json.size() && json[at] != '-';
        const std::size_t state = json.find(state_key, at);
        if (known && state < next && json.substr(state + state_key.size(), up.size()) == up) {
            ++count;
        }
        at = next;
    }
    return count;
}

// FAIL and FATAL come as error events, too, and so does what a certificate's verification said;
// that gapless is experimental we know.
bool is_said_elsewhere(std::string_view facility, std::string_view text) {
    if (facility == "FAIL" || facility == "FATAL" || facility == "SSLCERTVRFY") return true;
    return facility == "CONFWARN" &&
           text.find("enable.gapless.guarantee") != std::string_view::npos;
}

class RdKafkaProducer final : public Producer {
public:
    RdKafkaProducer(SharedClient client, Waker& waker, std::size_t header_lists_kept)
        : client_(std::move(client))
        , queue_(rd_kafka_queue_get_main(client_.get()))
        , header_lists_(header_lists_kept) {
        rd_kafka_set_log_queue(client_.get(), nullptr);
        rd_kafka_queue_io_event_enable(
            queue_.get(),
            waker.descriptor(),
            &wake_payload,
            sizeof wake_payload
        );
        // What came before the line above has written no event.
        waker.wake();
    }

    ~RdKafkaProducer() override {
        rd_kafka_queue_io_event_enable(queue_.get(), -1, nullptr, 0);
        rd_kafka_purge(
            client_.get(),
            RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING
        );
        queue_.reset();
        topics_.clear();
    }

    Result<TopicId> open_topic(std::string_view name) override;
    Result<std::vector<TopicMetadata>> metadata(Duration wait_max) override;
    Result<void> create_topic(std::string_view name, std::int32_t partitions, Duration wait_max)
        override;
    ErrorCode produce(const OutgoingRecord& record) override;
    void serve(ProducerListener& listener) override;
    [[nodiscard]] std::optional<std::string> fatal_reason() const override;

    void purge_queue() override {
        rd_kafka_purge(client_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_NON_BLOCKING);
    }

private:
    rd_kafka_resp_err_t ask_metadata(const rd_kafka_metadata_t*& answered, Duration wait_max);
    [[nodiscard]] bool has_met_broker() const;
    void serve_reports(rd_kafka_event_t* event, ProducerListener& listener);
    void serve_error(rd_kafka_event_t* event, ProducerListener& listener);
    void serve_log(rd_kafka_event_t* event, ProducerListener& listener);

    SharedClient client_;  // let go last
    QueueHandle queue_;
    std::vector<TopicHandle> topics_;
    HeaderLists header_lists_;
    std::array<const rd_kafka_message_t*, reports_per_call> messages_{};
    std::array<DeliveryReport, reports_per_call> reports_{};
    LineLimit log_limit_;
    LineLimit error_limit_;
};

Result<TopicId> RdKafkaProducer::open_topic(std::string_view name) {
    TopicHandle topic{rd_kafka_topic_new(client_.get(), std::string{name}.c_str(), nullptr)};
    if (!topic) return upstream_error(rd_kafka_last_error());
    topics_.push_back(std::move(topic));
    return TopicId{static_cast<std::uint32_t>(topics_.size() - 1)};
}

// Before any broker has answered, librdkafka connects where somebody begins to wait for one, and
// when that fails not again in the same wait: so it is many short ones.
rd_kafka_resp_err_t RdKafkaProducer::ask_metadata(
    const rd_kafka_metadata_t*& answered,
    Duration wait_max
) {
    // Not all topics of the cluster, and not one: those that were opened.
    const auto ask = [&](Duration wait) {
        return rd_kafka_metadata(client_.get(), 0, nullptr, &answered, milliseconds(wait));
    };
    const Instant end = monotonic_now() + wait_max;
    while (!has_met_broker()) {
        const Duration left = end - monotonic_now();
        const auto error = ask(std::min<Duration>(left, connect_wait));
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR || left <= connect_wait) return error;
    }
    return ask(end - monotonic_now());
}

// Known from the first answer, which a connection asks for by itself.
bool RdKafkaProducer::has_met_broker() const {
    char* const cluster = rd_kafka_clusterid(client_.get(), 0);
    if (cluster == nullptr) return false;
    rd_kafka_mem_free(client_.get(), cluster);
    return true;
}

Result<std::vector<TopicMetadata>> RdKafkaProducer::metadata(Duration wait_max) {
    const rd_kafka_metadata_t* answered = nullptr;
    const auto error = ask_metadata(answered, wait_max);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return upstream_error(error);
    const std::unique_ptr<const rd_kafka_metadata_t, DestroyMetadata> metadata{answered};
    std::vector<TopicMetadata> topics;
    topics.reserve(topics_.size());
    for (const auto& topic : topics_) {
        const std::string_view name = rd_kafka_topic_name(topic.get());
        TopicMetadata found{
            .partitions = 0,
            .error = upstream_error(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)};
        for (int i = 0; i < metadata->topic_cnt; ++i) {
            const auto& candidate = metadata->topics[i];
            if (name != candidate.topic) continue;
            found.partitions = candidate.partition_cnt;
            found.error = candidate.err == RD_KAFKA_RESP_ERR_NO_ERROR
                              ? ErrorCode{}
                              : upstream_error(candidate.err);
        }
        topics.push_back(found);
    }
    return topics;
}

Result<void> RdKafkaProducer::create_topic(
    std::string_view name,
    std::int32_t partitions,
    Duration wait_max
) {
    std::array<char, error_text_bytes> text{};
    constexpr int replication_of_broker = -1;
    std::unique_ptr<rd_kafka_NewTopic_t, DestroyNewTopic> topic{rd_kafka_NewTopic_new(
        std::string{name}.c_str(),
        partitions,
        replication_of_broker,
        text.data(),
        text.size()
    )};
    if (!topic) return upstream_error(RD_KAFKA_RESP_ERR__INVALID_ARG);
    const QueueHandle answers{rd_kafka_queue_new(client_.get())};
    std::array<rd_kafka_NewTopic_t*, 1> topics{topic.get()};
    rd_kafka_CreateTopics(client_.get(), topics.data(), topics.size(), nullptr, answers.get());
    const EventHandle event{rd_kafka_queue_poll(answers.get(), milliseconds(wait_max))};
    if (!event) return upstream_error(RD_KAFKA_RESP_ERR__TIMED_OUT);
    if (rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return upstream_error(rd_kafka_event_error(event.get()));
    }
    const auto* result = rd_kafka_event_CreateTopics_result(event.get());
    std::size_t count = 0;
    const auto* const* created = rd_kafka_CreateTopics_result_topics(result, &count);
    for (std::size_t i = 0; i < count; ++i) {
        const auto error = rd_kafka_topic_result_error(created[i]);
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR &&
            error != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
            return upstream_error(error);
        }
    }
    return {};
}

ErrorCode RdKafkaProducer::produce(const OutgoingRecord& record) {
    MILEPOST_CHECK(record.topic.value() < topics_.size());
    std::array<rd_kafka_vu_t, produce_parts_max> parts{};
    std::size_t count = 0;
    const auto part = [&](rd_kafka_vtype_t type) -> rd_kafka_vu_t& {
        auto& added = parts[count++];
        added.vtype = type;
        return added;
    };
    part(RD_KAFKA_VTYPE_RKT).u.rkt = topics_[record.topic.value()].get();
    part(RD_KAFKA_VTYPE_PARTITION).u.i32 = record.partition;
    part(RD_KAFKA_VTYPE_TIMESTAMP).u.i64 = record.timestamp.value();
    part(RD_KAFKA_VTYPE_MSGFLAGS).u.i = record.is_value_kept ? 0 : RD_KAFKA_MSG_F_COPY;
    part(RD_KAFKA_VTYPE_OPAQUE).u.ptr = opaque_of(record.tag);
    const auto memory = [&](rd_kafka_vtype_t type, const std::optional<Bytes>& bytes) {
        if (!bytes) return;
        auto& added = part(type);
        // A null pointer would make an empty value a null one: a tombstone.
        added.u.mem.ptr = not_const(bytes->empty() ? static_cast<const void*>("") : bytes->data());
        added.u.mem.size = bytes->size();
    };
    memory(RD_KAFKA_VTYPE_KEY, record.key);
    memory(RD_KAFKA_VTYPE_VALUE, record.value);
    auto headers = header_lists_.make(record.headers);
    if (headers) part(RD_KAFKA_VTYPE_HEADERS).u.headers = headers.get();
    const std::unique_ptr<rd_kafka_error_t, DestroyError> error{
        rd_kafka_produceva(client_.get(), parts.data(), count)};
    if (error) return upstream_error(rd_kafka_error_code(error.get()));
    headers.release();  // the record owns them now
    return {};
}

void RdKafkaProducer::serve(ProducerListener& listener) {
    hearing_of(client_).listener = &listener;
    while (EventHandle event{rd_kafka_queue_poll(queue_.get(), 0)}) {
        switch (rd_kafka_event_type(event.get())) {
            case RD_KAFKA_EVENT_DR: serve_reports(event.get(), listener); break;
            case RD_KAFKA_EVENT_ERROR: serve_error(event.get(), listener); break;
            case RD_KAFKA_EVENT_LOG: serve_log(event.get(), listener); break;
            case RD_KAFKA_EVENT_STATS:
                listener.on_brokers(brokers_up(rd_kafka_event_stats(event.get())));
                break;
            default: break;
        }
    }
    hearing_of(client_).listener = nullptr;
}

void RdKafkaProducer::serve_reports(rd_kafka_event_t* event, ProducerListener& listener) {
    std::size_t count = 0;
    do {
        count = rd_kafka_event_message_array(event, messages_.data(), messages_.size());
        for (std::size_t i = 0; i < count; ++i) {
            const auto& message = *messages_[i];
            reports_[i] = DeliveryReport{
                .tag = reinterpret_cast<std::uint64_t>(message._private),
                .bytes = message.len + message.key_len,
                .fault = message.err == RD_KAFKA_RESP_ERR_NO_ERROR
                             ? Fault::none
                             : fault_of(upstream_error(message.err)),
                .code = message.err,
            };
            header_lists_.take_back(message);
        }
        if (count > 0) listener.on_reports({reports_.data(), count});
    } while (count == messages_.size());
}

void RdKafkaProducer::serve_error(rd_kafka_event_t* event, ProducerListener& listener) {
    auto error = rd_kafka_event_error(event);
    std::string text = hearing_of(client_).tls.plain(rd_kafka_event_error_string(event));
    // With TLS 1.3 a certificate is refused after the handshake: an alert is what is received, and
    // librdkafka calls that a broken connection.
    if (error == RD_KAFKA_RESP_ERR__TRANSPORT && text.find("SSL alert") != std::string::npos) {
        error = RD_KAFKA_RESP_ERR__SSL;
    }
    if (error == RD_KAFKA_RESP_ERR__FATAL) {
        text = fatal_reason().value_or(text);
    } else if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        text.clear();  // why was said before; still counted by the listener
    } else if (!error_limit_.allow(monotonic_now())) {
        text.clear();
    }
    listener.on_error(upstream_error(error), text);
    if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) listener.on_brokers(0);
}

void RdKafkaProducer::serve_log(rd_kafka_event_t* event, ProducerListener& listener) {
    const char* facility = nullptr;
    const char* text = nullptr;
    int level = 0;
    if (rd_kafka_event_log(event, &facility, &text, &level) != 0) return;
    if (is_said_elsewhere(facility, text)) return;
    if (!log_limit_.allow(monotonic_now())) return;
    std::string line = std::string{facility} + ": " + text;
    if (const auto left_out = log_limit_.take_left_out(); left_out > 0) {
        line += " (" + std::to_string(left_out) + " lines left out)";
    }
    listener.on_log(level, line);
}

std::optional<std::string> RdKafkaProducer::fatal_reason() const {
    std::array<char, error_text_bytes> text{};
    const auto error = rd_kafka_fatal_error(client_.get(), text.data(), text.size());
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return std::nullopt;
    return std::string{rd_kafka_err2name(error)} + ": " + text.data();
}

}  // namespace

Result<std::unique_ptr<Producer>> make_rdkafka_producer(
    const ProducerSettings& settings,
    Waker& waker,
    std::string& problem
) {
    auto client = make_producer_client(settings, problem);
    if (!client) return client.error();
    return wrap_producer(std::move(client).value(), waker, settings.header_lists_kept);
}

std::unique_ptr<Producer> wrap_producer(
    SharedClient client,
    Waker& waker,
    std::size_t header_lists_kept
) {
    return std::make_unique<RdKafkaProducer>(std::move(client), waker, header_lists_kept);
}

std::int32_t murmur2_partition(Bytes key, std::int32_t partitions) {
    return rd_kafka_msg_partitioner_murmur2(
        nullptr,
        key.data(),
        key.size(),
        partitions,
        nullptr,
        nullptr
    );
}

}  // namespace milepost::upstream
