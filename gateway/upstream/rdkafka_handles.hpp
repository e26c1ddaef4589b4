#pragma once

#include <cstddef>
#include <memory>

struct rd_kafka_s;
struct rd_kafka_conf_s;
struct rd_kafka_topic_s;
struct rd_kafka_queue_s;
struct rd_kafka_metadata;

// librdkafka's objects and who destroys them. Only for rdkafka_*.cpp of this room.
namespace milepost::upstream {

inline constexpr std::size_t error_text_bytes = 512;  // what librdkafka's reasons fit into

struct DestroyConf {
    void operator()(rd_kafka_conf_s* conf) const;
};

struct DestroyTopic {
    void operator()(rd_kafka_topic_s* topic) const;
};

struct DestroyMetadata {
    void operator()(const struct rd_kafka_metadata* metadata) const;
};

struct DestroyQueue {
    void operator()(rd_kafka_queue_s* queue) const;
};

// A client's background threads may hang in a name look-up, so this waits for them for some seconds
// and then leaves them to the end of the process.
struct DestroyClient {
    std::shared_ptr<const void> kept{};  // what these threads look at: let go when they have ended

    void operator()(rd_kafka_s* client) const;
};

using ConfHandle = std::unique_ptr<rd_kafka_conf_s, DestroyConf>;
using TopicHandle = std::unique_ptr<rd_kafka_topic_s, DestroyTopic>;
using QueueHandle = std::unique_ptr<rd_kafka_queue_s, DestroyQueue>;
using ClientHandle = std::unique_ptr<rd_kafka_s, DestroyClient>;

}  // namespace milepost::upstream
