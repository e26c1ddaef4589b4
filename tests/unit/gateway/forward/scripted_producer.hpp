#pragma once

#include "gateway/upstream/producer.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace milepost::test {

// What the upstream of a test has seen and how it behaves; outlives the producers made for it.
struct ScriptedUpstream {
    struct Seen {
        std::string topic;
        std::int32_t partition;
        std::string key;
        std::string value;
        std::vector<std::pair<std::string, std::string>> headers;
        std::uint64_t tag;
        std::size_t bytes;
    };

    std::map<std::string, std::int32_t> topics;  // with their partitions
    bool answers = true;                         // metadata requests
    int metadata_requests = 0;
    std::size_t queue_messages = 1000;
    ErrorCode refuse;                  // the answer to each record while set
    std::optional<std::string> fatal;  // of the producer at hand
    std::string login_refused;         // why, while nobody is let in
    int producers = 0;
    int producers_failing = 0;  // so many cannot be made
    std::vector<std::string> created;
    ErrorCode create_refused;     // the answer to whoever makes a topic while set
    Duration create_wait{};       // of the last one
    std::vector<Seen> queue;      // taken, not yet reported
    std::vector<Seen> delivered;  // confirmed, in order
    int failed = 0;
    std::deque<upstream::DeliveryReport> reports;

    // Confirms the first `count` records of the queue.
    void confirm(std::size_t count) {
        while (count-- > 0 && !queue.empty()) {
            reports.push_back({.tag = queue.front().tag, .bytes = queue.front().bytes});
            delivered.push_back(std::move(queue.front()));
            queue.erase(queue.begin());
        }
    }

    // Values that the upstream refuses, with everything else of their partition: a batch.
    std::set<std::string> poison;
    std::set<std::string> poison_letters;  // the same in topics of dead letters
    // As librdkafka without transactions: nothing may overtake a batch that was refused.
    bool is_gapless = false;

    void confirm_all() {
        const auto bad = std::find_if(queue.begin(), queue.end(), [&](const Seen& seen) {
            const bool is_letter = seen.topic.ends_with(".dead-letter");
            return (is_letter ? poison_letters : poison).contains(seen.value);
        });
        if (bad == queue.end()) return confirm(queue.size());
        const auto place = std::pair{bad->topic, bad->partition};
        for (std::size_t i = 0; i < queue.size();) {
            if (std::pair{queue[i].topic, queue[i].partition} == place) {
                settle(i, upstream::Fault::record, 10);  // MSG_SIZE_TOO_LARGE
            } else {
                ++i;
            }
        }
        if (is_gapless) fatal = "_GAPLESS_GUARANTEE";
        if (!is_gapless) confirm_all();
    }

    // Confirms, or fails, the record at `place`.
    void settle(std::size_t place, upstream::Fault fault = upstream::Fault::none, int code = 0) {
        reports.push_back(
            {.tag = queue[place].tag, .bytes = queue[place].bytes, .fault = fault, .code = code}
        );
        if (fault == upstream::Fault::none) delivered.push_back(queue[place]);
        if (fault != upstream::Fault::none) ++failed;
        queue.erase(queue.begin() + static_cast<std::ptrdiff_t>(place));
    }

    void fail_all(upstream::Fault fault, int code) {
        while (!queue.empty()) {
            settle(0, fault, code);
        }
    }
};

class ScriptedProducer final : public upstream::Producer {
public:
    explicit ScriptedProducer(ScriptedUpstream& upstream)
        : upstream_(upstream) {
        ++upstream_.producers;
        upstream_.fatal.reset();
        upstream_.queue.clear();
        upstream_.reports.clear();
    }

    Result<upstream::TopicId> open_topic(std::string_view name) override {
        topics_.emplace_back(name);
        return upstream::TopicId{static_cast<std::uint32_t>(topics_.size() - 1)};
    }

    Result<std::vector<upstream::TopicMetadata>> metadata(Duration) override {
        ++upstream_.metadata_requests;
        if (!upstream_.answers) return upstream::upstream_error(-195);  // _TRANSPORT
        std::vector<upstream::TopicMetadata> answer;
        for (const auto& topic : topics_) {
            const auto found = upstream_.topics.find(topic);
            if (found == upstream_.topics.end()) {
                answer.push_back({.partitions = 0, .error = upstream::upstream_error(3)});
            } else {
                answer.push_back({.partitions = found->second, .error = {}});
            }
        }
        return answer;
    }

    Result<void> create_topic(std::string_view name, std::int32_t partitions, Duration wait_max)
        override {
        upstream_.create_wait = wait_max;
        if (upstream_.create_refused) return upstream_.create_refused;
        upstream_.created.emplace_back(name);
        upstream_.topics[std::string{name}] = partitions;
        return {};
    }

    ErrorCode produce(const upstream::OutgoingRecord& record) override {
        if (upstream_.refuse) return upstream_.refuse;
        if (upstream_.queue.size() >= upstream_.queue_messages) {
            return upstream::upstream_error(-184);  // _QUEUE_FULL
        }
        ScriptedUpstream::Seen seen{
            .topic = topics_[record.topic.value()],
            .partition = record.partition,
            .key = std::string{as_text(record.key.value_or(Bytes{}))},
            .value = std::string{as_text(record.value.value_or(Bytes{}))},
            .headers = {},
            .tag = record.tag,
            .bytes = record.key.value_or(Bytes{}).size() + record.value.value_or(Bytes{}).size(),
        };
        for (const auto& header : record.headers) {
            seen.headers.emplace_back(header.name, as_text(header.value));
        }
        upstream_.queue.push_back(std::move(seen));
        return {};
    }

    void serve(upstream::ProducerListener& listener) override {
        if (!upstream_.login_refused.empty()) {
            listener.on_error(upstream::upstream_error(-169), upstream_.login_refused);
            listener.on_brokers(0);
        }
        while (!upstream_.reports.empty()) {
            const auto report = upstream_.reports.front();
            upstream_.reports.pop_front();
            listener.on_reports({&report, 1});
        }
    }

    [[nodiscard]] std::optional<std::string> fatal_reason() const override {
        return upstream_.fatal;
    }

    void purge_queue() override { upstream_.fail_all(upstream::Fault::transient, -152); }

private:
    ScriptedUpstream& upstream_;
    std::vector<std::string> topics_;
};

}  // namespace milepost::test
