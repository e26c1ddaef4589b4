#include "gateway/upstream/consumer.hpp"
#include "gateway/upstream/errc.hpp"
#include "gateway/upstream/rdkafka_client.hpp"
#include "gateway/upstream/rdkafka_handles.hpp"
#include "gateway/upstream/rdkafka_message.hpp"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

namespace milepost::upstream {

namespace {

constexpr std::size_t messages_per_call = 1000;
constexpr std::chrono::milliseconds poll_wait{100};

int milliseconds_until(Instant end) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - monotonic_now());
    return static_cast<int>(std::clamp<std::int64_t>(left.count(), 1, 60'000));
}

class RdKafkaConsumer final : public Consumer {
public:
    RdKafkaConsumer(ClientHandle client, std::vector<std::string> names)
        : client_(std::move(client))
        , queue_(rd_kafka_queue_new(client_.get())) {
        for (auto& name : names) {
            Topic topic{.name = std::move(name), .handle = nullptr, .partitions = {}};
            topic.handle.reset(rd_kafka_topic_new(client_.get(), topic.name.c_str(), nullptr));
            topics_.push_back(std::move(topic));
        }
    }

    ~RdKafkaConsumer() override {
        for (const auto& topic : topics_) {
            for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
                rd_kafka_consume_stop(topic.handle.get(), static_cast<std::int32_t>(i));
            }
        }
        queue_.reset();
        topics_.clear();
    }

    Result<ReadSummary> read_to_end(Duration wait_max, const OnRecord& on_record) override;

private:
    struct Partition {
        std::int64_t at = 0;   // the next offset to come
        std::int64_t end = 0;  // of this call
        bool done = false;
    };

    struct Topic {
        std::string name;
        TopicHandle handle;
        std::vector<Partition> partitions;
    };

    ErrorCode look_up(Topic& topic, Instant end);
    ErrorCode find_ends(Topic& topic, Instant end);
    void take(const rd_kafka_message_t& message, const OnRecord& on_record, ReadSummary& summary);
    [[nodiscard]] Partition* find(const rd_kafka_message_t& message);
    [[nodiscard]] bool all_done() const;

    ClientHandle client_;  // destroyed last
    QueueHandle queue_;
    std::vector<Topic> topics_;
    std::array<rd_kafka_message_t*, messages_per_call> messages_{};
    std::vector<storage::HeaderView> headers_;
};

// Begins to read partitions that are new since the last call.
ErrorCode RdKafkaConsumer::look_up(Topic& topic, Instant end) {
    if (!topic.handle) return upstream_error(RD_KAFKA_RESP_ERR__INVALID_ARG);
    const rd_kafka_metadata_t* answered = nullptr;
    const auto error =
        rd_kafka_metadata(client_.get(), 0, topic.handle.get(), &answered, milliseconds_until(end));
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return upstream_error(error);
    const std::unique_ptr<const rd_kafka_metadata_t, DestroyMetadata> metadata{answered};
    if (metadata->topic_cnt != 1) {
        return upstream_error(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    }
    if (metadata->topics[0].err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return upstream_error(metadata->topics[0].err);
    }
    const auto count = static_cast<std::size_t>(metadata->topics[0].partition_cnt);
    for (std::size_t i = topic.partitions.size(); i < count; ++i) {
        const int started = rd_kafka_consume_start_queue(
            topic.handle.get(),
            static_cast<std::int32_t>(i),
            RD_KAFKA_OFFSET_BEGINNING,
            queue_.get()
        );
        if (started != 0) return upstream_error(rd_kafka_last_error());
        topic.partitions.emplace_back();
    }
    return {};
}

ErrorCode RdKafkaConsumer::find_ends(Topic& topic, Instant end) {
    for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
        auto& partition = topic.partitions[i];
        std::int64_t low = 0;
        const auto error = rd_kafka_query_watermark_offsets(
            client_.get(),
            topic.name.c_str(),
            static_cast<std::int32_t>(i),
            &low,
            &partition.end,
            milliseconds_until(end)
        );
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return upstream_error(error);
        partition.at = std::max(partition.at, low);
        partition.done = partition.at >= partition.end;
    }
    return {};
}

bool RdKafkaConsumer::all_done() const {
    return std::all_of(topics_.begin(), topics_.end(), [](const Topic& topic) {
        return std::all_of(
            topic.partitions.begin(),
            topic.partitions.end(),
            [](const Partition& partition) { return partition.done; }
        );
    });
}

RdKafkaConsumer::Partition* RdKafkaConsumer::find(const rd_kafka_message_t& message) {
    if (message.rkt == nullptr || message.partition < 0) return nullptr;
    const std::string_view name = rd_kafka_topic_name(message.rkt);
    const auto partition = static_cast<std::size_t>(message.partition);
    for (auto& topic : topics_) {
        if (topic.name == name && partition < topic.partitions.size()) {
            return &topic.partitions[partition];
        }
    }
    return nullptr;
}

void RdKafkaConsumer::take(
    const rd_kafka_message_t& message,
    const OnRecord& on_record,
    ReadSummary& summary
) {
    auto* partition = find(message);
    if (message.err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        // The end for read_committed: behind the last record there may be markers, and an open
        // transaction, whose records are not for us.
        if (partition != nullptr) {
            partition->at = std::max(partition->at, message.offset);
            partition->done = true;
        }
        return;
    }
    if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        summary.problem = rd_kafka_message_errstr(&message);
        return;
    }
    on_record(record_of(message, headers_));
    ++summary.records;
    if (partition == nullptr) return;
    partition->at = message.offset + 1;
    if (partition->at >= partition->end) partition->done = true;
}

Result<ReadSummary> RdKafkaConsumer::read_to_end(Duration wait_max, const OnRecord& on_record) {
    const Instant end = monotonic_now() + wait_max;
    ReadSummary summary;
    for (auto& topic : topics_) {
        auto error = look_up(topic, end);
        if (!error) error = find_ends(topic, end);
        if (fault_of(error) == Fault::topic) {
            summary.missing_topics.push_back(topic.name);
        } else if (error) {
            return error;
        }
    }
    while (!all_done() && monotonic_now() < end) {
        const auto count = rd_kafka_consume_batch_queue(
            queue_.get(),
            static_cast<int>(poll_wait.count()),
            messages_.data(),
            messages_.size()
        );
        for (ssize_t i = 0; i < count; ++i) {
            auto* message = messages_[static_cast<std::size_t>(i)];
            take(*message, on_record, summary);
            rd_kafka_message_destroy(message);
        }
    }
    summary.reached_end = all_done();
    return summary;
}

}  // namespace

Result<std::unique_ptr<Consumer>> make_rdkafka_consumer(
    const ClientSettings& settings,
    std::vector<std::string> topics,
    std::string& problem
) {
    std::array<char, error_text_bytes> text{};
    ConfHandle conf{rd_kafka_conf_new()};
    Properties all = settings.properties;
    const Properties fixed = {
        {"bootstrap.servers", settings.bootstrap_servers},
        {"client.id", settings.client_id},
        {"isolation.level", "read_committed"},
        {"enable.partition.eof", "true"},
        {"enable.auto.commit", "false"},
        {"fetch.wait.max.ms", "100"},
        {"queued.max.messages.kbytes", "32768"},
    };
    all.insert(all.end(), fixed.begin(), fixed.end());
    if (const auto set = set_properties(conf.get(), all, problem); !set) return set.error();
    // What goes wrong comes back by read_to_end.
    rd_kafka_conf_set_log_cb(conf.get(), nullptr);
    ClientHandle client{rd_kafka_new(RD_KAFKA_CONSUMER, conf.get(), text.data(), text.size())};
    if (!client) {
        problem = text.data();
        return upstream_error(rd_kafka_last_error());
    }
    conf.release();  // the client owns it now
    return std::unique_ptr<Consumer>{
        std::make_unique<RdKafkaConsumer>(std::move(client), std::move(topics))};
}

}  // namespace milepost::upstream
