#include "gateway/upstream/errc.hpp"
#include "gateway/upstream/rdkafka_client.hpp"
#include "gateway/upstream/rdkafka_handles.hpp"
#include "gateway/upstream/rdkafka_message.hpp"
#include "gateway/upstream/topic_reader.hpp"
#include "storage/base/units.hpp"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

namespace milepost::upstream {

namespace {

constexpr std::size_t records_per_call = 500;
constexpr int answer_wait_ms = 10'000;
constexpr std::size_t response_bytes_max = 16 * mib;

struct DestroyPartitions {
    void operator()(rd_kafka_topic_partition_list_t* list) const {
        rd_kafka_topic_partition_list_destroy(list);
    }
};

class RdKafkaPartitionReader final : public PartitionReader {
public:
    RdKafkaPartitionReader(TopicHandle topic, std::int32_t partition, std::int64_t offset)
        : topic_(std::move(topic))
        , partition_(partition)
        , position_(offset) {}

    ~RdKafkaPartitionReader() override {
        let_go();
        rd_kafka_consume_stop(topic_.get(), partition_);
    }

    Result<std::span<const ConsumedRecord>> read(Duration wait_max) override {
        let_go();
        const auto wait_ms = std::chrono::duration_cast<std::chrono::milliseconds>(wait_max);
        const auto count = rd_kafka_consume_batch(
            topic_.get(),
            partition_,
            static_cast<int>(wait_ms.count()),
            messages_.data(),
            messages_.size()
        );
        if (count < 0) return upstream_error(rd_kafka_last_error());
        count_ = static_cast<std::size_t>(count);
        records_.clear();
        for (std::size_t i = 0; i < count_; ++i) {
            const auto& message = *messages_[i];
            if (message.err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
                // Behind the last record there may be markers, and what was aborted.
                position_ = std::max(position_, message.offset);
                continue;
            }
            if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) return upstream_error(message.err);
            records_.push_back(record_of(message, headers_[i]));
            position_ = message.offset + 1;
        }
        return std::span<const ConsumedRecord>{records_};
    }

    [[nodiscard]] std::int64_t position() const override { return position_; }

private:
    void let_go() {
        for (std::size_t i = 0; i < count_; ++i)
            rd_kafka_message_destroy(messages_[i]);
        count_ = 0;
    }

    TopicHandle topic_;
    std::int32_t partition_;
    std::int64_t position_;
    std::array<rd_kafka_message_t*, records_per_call> messages_{};
    std::size_t count_ = 0;
    std::array<std::vector<storage::HeaderView>, records_per_call> headers_;
    std::vector<ConsumedRecord> records_;
};

class RdKafkaTopicReader final : public TopicReader {
public:
    explicit RdKafkaTopicReader(ClientHandle client)
        : client_(std::move(client)) {}

    std::string cluster_id() override {
        char* const id = rd_kafka_clusterid(client_.get(), answer_wait_ms);
        if (id == nullptr) return {};
        std::string text{id};
        rd_kafka_mem_free(client_.get(), id);
        return text;
    }

    Result<std::int32_t> partitions(const std::string& topic) override {
        auto opened = open(topic);
        if (!opened) return opened.error();
        const rd_kafka_metadata_t* answered = nullptr;
        const auto error =
            rd_kafka_metadata(client_.get(), 0, opened->get(), &answered, answer_wait_ms);
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return upstream_error(error);
        const std::unique_ptr<const rd_kafka_metadata_t, DestroyMetadata> metadata{answered};
        const auto missing = upstream_error(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
        if (metadata->topic_cnt != 1) return missing;
        const auto& found = metadata->topics[0];
        if (found.err != RD_KAFKA_RESP_ERR_NO_ERROR) return upstream_error(found.err);
        if (found.partition_cnt == 0) return missing;
        return found.partition_cnt;
    }

    Result<PartitionEnds> ends(const std::string& topic, std::int32_t partition) override {
        PartitionEnds ends;
        // Asked with read_committed, the broker says the last stable offset (KIP-98).
        const auto error = rd_kafka_query_watermark_offsets(
            client_.get(),
            topic.c_str(),
            partition,
            &ends.start,
            &ends.end,
            answer_wait_ms
        );
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return upstream_error(error);
        return ends;
    }

    Result<std::optional<std::int64_t>> find_timestamp(
        const std::string& topic,
        std::int32_t partition,
        Timestamp timestamp
    ) override {
        const std::unique_ptr<rd_kafka_topic_partition_list_t, DestroyPartitions> asked{
            rd_kafka_topic_partition_list_new(1)};
        // The time goes in as an offset, and an offset comes back.
        auto* const one = rd_kafka_topic_partition_list_add(asked.get(), topic.c_str(), partition);
        one->offset = std::max<std::int64_t>(0, timestamp.value());
        const auto error = rd_kafka_offsets_for_times(client_.get(), asked.get(), answer_wait_ms);
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return upstream_error(error);
        if (one->err != RD_KAFKA_RESP_ERR_NO_ERROR) return upstream_error(one->err);
        if (one->offset < 0) return std::optional<std::int64_t>{};
        return std::optional{one->offset};
    }

    Result<std::unique_ptr<PartitionReader>> start(
        const std::string& topic,
        std::int32_t partition,
        std::int64_t offset
    ) override {
        auto opened = open(topic);
        if (!opened) return opened.error();
        if (rd_kafka_consume_start(opened->get(), partition, offset) != 0) {
            return upstream_error(rd_kafka_last_error());
        }
        return std::unique_ptr<PartitionReader>{
            std::make_unique<RdKafkaPartitionReader>(std::move(*opened), partition, offset)};
    }

private:
    Result<TopicHandle> open(const std::string& topic) {
        TopicHandle opened{rd_kafka_topic_new(client_.get(), topic.c_str(), nullptr)};
        if (!opened) return upstream_error(rd_kafka_last_error());
        return opened;
    }

    ClientHandle client_;
};

}  // namespace

Result<std::unique_ptr<TopicReader>> make_rdkafka_topic_reader(
    const ClientSettings& settings,
    std::size_t read_ahead_bytes,
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
        {"auto.offset.reset", "error"},
        {"fetch.wait.max.ms", "100"},
        {"fetch.max.bytes", std::to_string(response_bytes_max)},
        {"queued.max.messages.kbytes", std::to_string(read_ahead_bytes / kib)},
    };
    all.insert(all.end(), fixed.begin(), fixed.end());
    if (const auto set = set_properties(conf.get(), all, problem); !set) return set.error();
    // What goes wrong comes back by the calls.
    rd_kafka_conf_set_log_cb(conf.get(), nullptr);
    ClientHandle client{rd_kafka_new(RD_KAFKA_CONSUMER, conf.get(), text.data(), text.size())};
    if (!client) {
        problem = text.data();
        return upstream_error(rd_kafka_last_error());
    }
    conf.release();  // the client owns it now
    return std::unique_ptr<TopicReader>{std::make_unique<RdKafkaTopicReader>(std::move(client))};
}

}  // namespace milepost::upstream
