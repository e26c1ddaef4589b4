#include "gateway/upstream/rdkafka_handles.hpp"

#include <librdkafka/rdkafka.h>

#include <chrono>
#include <future>
#include <thread>
#include <utility>

namespace milepost::upstream {

namespace {

constexpr std::chrono::seconds destroy_wait_max{3};

}  // namespace

void DestroyConf::operator()(rd_kafka_conf_s* conf) const {
    rd_kafka_conf_destroy(conf);
}

void DestroyTopic::operator()(rd_kafka_topic_s* topic) const {
    rd_kafka_topic_destroy(topic);
}

void DestroyMetadata::operator()(const struct rd_kafka_metadata* metadata) const {
    rd_kafka_metadata_destroy(metadata);
}

void DestroyQueue::operator()(rd_kafka_queue_s* queue) const {
    rd_kafka_queue_destroy(queue);
}

void DestroyClient::operator()(rd_kafka_s* client) const {
    std::promise<void> promise;
    auto destroyed = promise.get_future();
    std::thread destroyer{[client, held = kept, done = std::move(promise)]() mutable {
        rd_kafka_destroy(client);
        held.reset();
        done.set_value();
    }};
    if (destroyed.wait_for(destroy_wait_max) == std::future_status::ready) {
        destroyer.join();
    } else {
        destroyer.detach();
    }
}

}  // namespace milepost::upstream
