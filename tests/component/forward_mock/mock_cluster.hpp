#pragma once

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <string>

namespace milepost::test {

// librdkafka's mock brokers in this process.
class MockCluster {
public:
    explicit MockCluster(int brokers) {
        std::array<char, 512> error{};
        rd_kafka_conf_t* conf = rd_kafka_conf_new();
        rd_kafka_conf_set(conf, "client.id", "mock", nullptr, 0);
        client_.reset(rd_kafka_new(RD_KAFKA_PRODUCER, conf, error.data(), error.size()));
        if (!client_) throw std::runtime_error{error.data()};
        cluster_.reset(rd_kafka_mock_cluster_new(client_.get(), brokers));
        if (!cluster_) throw std::runtime_error{"no mock cluster"};
    }

    [[nodiscard]] std::string bootstrap_servers() const {
        return rd_kafka_mock_cluster_bootstraps(cluster_.get());
    }

    [[nodiscard]] rd_kafka_mock_cluster_t* get() const { return cluster_.get(); }

    void create_topic(const std::string& topic, int partitions) {
        rd_kafka_mock_topic_create(cluster_.get(), topic.c_str(), partitions, 1);
    }

    void set_down(int broker) { rd_kafka_mock_broker_set_down(cluster_.get(), broker); }

    void set_up(int broker) { rd_kafka_mock_broker_set_up(cluster_.get(), broker); }

private:
    struct DestroyClient {
        void operator()(rd_kafka_t* client) const { rd_kafka_destroy(client); }
    };

    struct DestroyCluster {
        void operator()(rd_kafka_mock_cluster_t* cluster) const {
            rd_kafka_mock_cluster_destroy(cluster);
        }
    };

    std::unique_ptr<rd_kafka_t, DestroyClient> client_;
    std::unique_ptr<rd_kafka_mock_cluster_t, DestroyCluster> cluster_;
};

}  // namespace milepost::test
