#pragma once

#include "gateway/upstream/transactions.hpp"
#include "tests/unit/gateway/forward/scripted_producer.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace milepost::test {

// A Kafka that keeps transactions, for producers numbered from 0; outlives them. A step is answered
// as soon as it is asked for, or as the script says.
struct ScriptedKafka {
    using Place = std::pair<std::string, std::int32_t>;

    // Of one transactional id.
    struct Id {
        ScriptedUpstream upstream;
        std::map<Place, upstream::GroupPosition> open;  // positions of the open transaction
        bool in_transaction = false;
        int taken_over = 0;
    };

    std::array<Id, 2> ids;
    std::map<Place, upstream::GroupPosition> positions;  // committed
    std::vector<std::string> committed;                  // values, in order
    std::vector<std::pair<std::size_t, upstream::Step>> steps;
    // The next answers to a step, before it goes well again.
    std::map<upstream::Step, std::deque<upstream::StepDone>> answers;
    std::optional<upstream::Step> hangs;  // this step does not end
    // Records of this topic end the transaction, and nothing says which they were.
    std::optional<std::string> forbidden;
    bool commits_in_secret = false;  // a commit that fails has happened all the same
    // A transaction that carried positions has no end, and nobody may read them before the next of
    // the same id.
    bool is_undecided = false;
    std::size_t undecided_id = 0;

    void add_topic(const std::string& name, std::int32_t partitions) {
        for (auto& id : ids) {
            id.upstream.topics[name] = partitions;
        }
    }

    void confirm_all() {
        for (auto& id : ids) {
            id.upstream.confirm_all();
        }
    }

    void answer(upstream::Step step, upstream::StepResult result, int code) {
        answers[step].push_back(
            {.step = step, .result = result, .error = upstream::upstream_error(code), .text = "!"}
        );
    }

    void commit(Id& id) {
        for (const auto& [place, position] : id.open) {
            positions[place] = position;
        }
        for (const auto& seen : id.upstream.delivered) {
            committed.push_back(seen.value);
        }
        end(id);
    }

    static void end(Id& id) {
        id.open.clear();
        id.upstream.delivered.clear();
        id.upstream.failed = 0;
        id.in_transaction = false;
    }
};

class ScriptedTransactions final : public upstream::Transactions {
public:
    ScriptedTransactions(ScriptedKafka& kafka, std::size_t number)
        : kafka_(kafka)
        , number_(number) {}

    void start(upstream::Step step, std::vector<upstream::GroupPosition> positions) override {
        kafka_.steps.emplace_back(number_, step);
        asked_ = step;
        positions_ = std::move(positions);
    }

    std::optional<upstream::StepDone> take_done() override {
        if (!asked_ || kafka_.hangs == asked_) return std::nullopt;
        const bool is_commit = asked_ == upstream::Step::commit;
        if (is_commit && (!id().upstream.queue.empty() || !id().upstream.reports.empty())) {
            return std::nullopt;  // as librdkafka, which flushes first
        }
        const auto step = *std::exchange(asked_, std::nullopt);
        if (auto& scripted = kafka_.answers[step]; !scripted.empty()) {
            auto done = scripted.front();
            scripted.pop_front();
            if (step == upstream::Step::commit && kafka_.commits_in_secret) kafka_.commit(id());
            return done;
        }
        upstream::StepDone done{.step = step};
        if (is_commit && (carries_forbidden() || id().upstream.failed > 0)) {
            done.result = upstream::StepResult::abort;
            // TOPIC_AUTHORIZATION_FAILED, or _PURGE_QUEUE
            done.error = upstream::upstream_error(carries_forbidden() ? 29 : -152);
            done.text = done.error.message();
            return done;
        }
        switch (step) {
            case upstream::Step::init:
                ++id().taken_over;
                ScriptedKafka::end(id());
                break;
            case upstream::Step::read_positions:
                if (kafka_.is_undecided) {
                    done.result = upstream::StepResult::again;
                    done.error = upstream::upstream_error(-185);  // _TIMED_OUT
                    return done;
                }
                for (auto position : positions_) {
                    const auto found = kafka_.positions.find({position.topic, position.partition});
                    if (found != kafka_.positions.end()) position = found->second;
                    done.positions.push_back(position);
                }
                break;
            case upstream::Step::send_positions:
                for (const auto& position : positions_) {
                    id().open[{position.topic, position.partition}] = position;
                }
                break;
            case upstream::Step::commit: kafka_.commit(id()); break;
            case upstream::Step::abort:
                if (!id().open.empty() && number_ == kafka_.undecided_id) {
                    kafka_.is_undecided = false;
                }
                id().upstream.fail_all(upstream::Fault::transient, -152);
                ScriptedKafka::end(id());
                break;
        }
        return done;
    }

    ErrorCode begin() override {
        id().in_transaction = true;
        return {};
    }

private:
    [[nodiscard]] bool carries_forbidden() {
        const auto& open = id().open;
        return kafka_.forbidden && std::any_of(open.begin(), open.end(), [&](const auto& position) {
                   return position.first.first == *kafka_.forbidden;
               });
    }

    ScriptedKafka::Id& id() { return kafka_.ids[number_]; }

    ScriptedKafka& kafka_;
    std::size_t number_;
    std::optional<upstream::Step> asked_;
    std::vector<upstream::GroupPosition> positions_;
};

}  // namespace milepost::test
