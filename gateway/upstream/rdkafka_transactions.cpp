#include "gateway/upstream/property_rules.hpp"
#include "gateway/upstream/rdkafka_client.hpp"
#include "gateway/upstream/rdkafka_producer.hpp"
#include "gateway/upstream/transactions.hpp"
#include "storage/base/check.hpp"
#include "storage/base/time.hpp"

#include <librdkafka/rdkafka.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

namespace milepost::upstream {

namespace {

constexpr std::chrono::milliseconds init_wait{10'000};
constexpr std::chrono::milliseconds read_wait{10'000};
constexpr std::chrono::milliseconds send_wait{30'000};
// How long a destruction waits for a step that is under way.
constexpr std::chrono::milliseconds leave_wait{500};

struct DestroyError {
    void operator()(rd_kafka_error_t* error) const { rd_kafka_error_destroy(error); }
};

struct DestroyList {
    void operator()(rd_kafka_topic_partition_list_t* list) const {
        rd_kafka_topic_partition_list_destroy(list);
    }
};

struct DestroyGroup {
    void operator()(rd_kafka_consumer_group_metadata_t* group) const {
        rd_kafka_consumer_group_metadata_destroy(group);
    }
};

using ErrorHandle = std::unique_ptr<rd_kafka_error_t, DestroyError>;
using ListHandle = std::unique_ptr<rd_kafka_topic_partition_list_t, DestroyList>;
using GroupHandle = std::unique_ptr<rd_kafka_consumer_group_metadata_t, DestroyGroup>;

ListHandle make_list(const std::vector<GroupPosition>& positions) {
    ListHandle list{rd_kafka_topic_partition_list_new(static_cast<int>(positions.size()))};
    for (const auto& position : positions) {
        auto* added = rd_kafka_topic_partition_list_add(
            list.get(),
            position.topic.c_str(),
            position.partition
        );
        added->offset = position.offset < 0 ? RD_KAFKA_OFFSET_INVALID : position.offset;
        if (position.metadata.empty()) continue;
        // The list frees it with rd_free, which is free().
        added->metadata = ::strdup(position.metadata.c_str());
        added->metadata_size = position.metadata.size();
    }
    return list;
}

void note_error(StepDone& done, const ErrorHandle& error) {
    if (!error) return;
    done.error = upstream_error(rd_kafka_error_code(error.get()));
    done.text = rd_kafka_error_string(error.get());
    if (rd_kafka_error_is_fatal(error.get()) != 0) {
        done.result = StepResult::fatal;
    } else if (rd_kafka_error_txn_requires_abort(error.get()) != 0) {
        done.result = StepResult::abort;
    } else if (rd_kafka_error_is_retriable(error.get()) != 0) {
        done.result = StepResult::again;
    } else {
        done.result = StepResult::fatal;
    }
}

void fail(StepDone& done, int code, std::string text) {
    done.result = StepResult::again;
    done.error = upstream_error(code);
    done.text = text.empty() ? done.error.message() : std::move(text);
}

// Everything that a step needs; what a hanging step leaves behind lives until it returns, which
// each does.
class Steps {
public:
    Steps(SharedClient client, ProducerSettings settings)
        : client_(std::move(client))
        , settings_(std::move(settings)) {}

    [[nodiscard]] StepDone run(Step step, std::vector<GroupPosition> positions) const {
        StepDone done{.step = step};
        switch (step) {
            case Step::init:
                note_error(
                    done,
                    ErrorHandle{rd_kafka_init_transactions(client_.get(), init_wait.count())}
                );
                break;
            case Step::read_positions: read_positions(done, std::move(positions)); break;
            case Step::send_positions: send_positions(done, positions); break;
            case Step::commit:
                note_error(
                    done,
                    ErrorHandle{rd_kafka_commit_transaction(client_.get(), transaction_wait())}
                );
                break;
            case Step::abort:
                note_error(
                    done,
                    ErrorHandle{rd_kafka_abort_transaction(client_.get(), transaction_wait())}
                );
                break;
        }
        return done;
    }

private:
    // Never the library's "what is left of the transaction's time" (-1): without a broker an abort
    // of 2.0.2 then waits for ever, while events that nobody takes pile up in its client.
    [[nodiscard]] int transaction_wait() const {
        return static_cast<int>(settings_.transaction_wait.count());
    }

    void send_positions(StepDone& done, const std::vector<GroupPosition>& positions) const {
        const auto list = make_list(positions);
        // Without a member or a generation: what fences is the transactional id alone.
        const GroupHandle group{rd_kafka_consumer_group_metadata_new(settings_.group_id.c_str())};
        note_error(
            done,
            ErrorHandle{rd_kafka_send_offsets_to_transaction(
                client_.get(),
                list.get(),
                group.get(),
                send_wait.count()
            )}
        );
    }

    // By a handle of its own that only has the group's name and never subscribes.
    void read_positions(StepDone& done, std::vector<GroupPosition> positions) const {
        ConfHandle conf{rd_kafka_conf_new()};
        Properties all = settings_.client.properties;
        std::erase_if(all, [](const auto& property) { return is_of_reading(property.first); });
        const Properties fixed = {
            {"bootstrap.servers", settings_.client.bootstrap_servers},
            {"client.id", settings_.client.client_id},
            {"group.id", settings_.group_id},
            {"enable.auto.commit", "false"},
            {"isolation.level", "read_committed"},
        };
        all.insert(all.end(), fixed.begin(), fixed.end());
        std::string problem;
        if (!set_properties(conf.get(), all, problem)) {
            return fail(done, RD_KAFKA_RESP_ERR__INVALID_ARG, std::move(problem));
        }
        rd_kafka_conf_set_log_cb(conf.get(), nullptr);
        std::array<char, error_text_bytes> text{};
        const ClientHandle reader{
            rd_kafka_new(RD_KAFKA_CONSUMER, conf.get(), text.data(), text.size())};
        if (!reader) return fail(done, rd_kafka_last_error(), text.data());
        conf.release();  // the reader owns it now
        const auto list = make_list(positions);
        const auto error = rd_kafka_committed(reader.get(), list.get(), read_wait.count());
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return fail(done, error, {});
        for (int i = 0; i < list->cnt; ++i) {
            const auto& read = list->elems[i];
            if (read.err != RD_KAFKA_RESP_ERR_NO_ERROR) return fail(done, read.err, {});
            done.positions.push_back(GroupPosition{
                .topic = read.topic,
                .partition = read.partition,
                .offset = read.offset < 0 ? -1 : read.offset,
                .metadata =
                    read.metadata == nullptr
                        ? std::string{}
                        : std::string{static_cast<const char*>(read.metadata), read.metadata_size},
            });
        }
    }

    SharedClient client_;
    ProducerSettings settings_;
};

class RdKafkaTransactions final : public Transactions {
public:
    RdKafkaTransactions(const SharedClient& client, const ProducerSettings& settings, Waker& waker)
        : client_(client)
        , shared_(std::make_shared<Shared>())
        , worker_([shared = shared_, steps = Steps{client, settings}] { work(*shared, steps); }) {
        shared_->waker = &waker;
    }

    ~RdKafkaTransactions() override {
        client_.reset();
        std::unique_lock lock{shared_->mutex};
        shared_->waker = nullptr;
        shared_->stopping = true;
        shared_->changed.notify_all();
        const bool left = shared_->changed.wait_for(lock, leave_wait, [&] {
            return shared_->has_left;
        });
        lock.unlock();
        if (left) {
            worker_.join();
        } else {
            worker_.detach();
        }
    }

    void start(Step step, std::vector<GroupPosition> positions) override {
        const std::lock_guard lock{shared_->mutex};
        MILEPOST_CHECK(!shared_->asked && !shared_->done);
        shared_->asked = Asked{step, std::move(positions)};
        shared_->changed.notify_all();
    }

    std::optional<StepDone> take_done() override {
        const std::lock_guard lock{shared_->mutex};
        return std::exchange(shared_->done, std::nullopt);
    }

    ErrorCode begin() override {
        const ErrorHandle error{rd_kafka_begin_transaction(client_.get())};
        return error ? upstream_error(rd_kafka_error_code(error.get())) : ErrorCode{};
    }

private:
    struct Asked {
        Step step;
        std::vector<GroupPosition> positions;
    };

    struct Shared {
        std::mutex mutex;
        std::condition_variable changed;
        std::optional<Asked> asked;
        std::optional<StepDone> done;
        Waker* waker = nullptr;
        bool stopping = false;
        bool has_left = false;
    };

    static void work(Shared& shared, const Steps& steps) {
        std::unique_lock lock{shared.mutex};
        while (true) {
            shared.changed.wait(lock, [&] { return shared.asked || shared.stopping; });
            if (shared.stopping) break;
            auto asked = std::move(*shared.asked);
            lock.unlock();
            const Instant begun = monotonic_now();
            auto done = steps.run(asked.step, std::move(asked.positions));
            done.took = monotonic_now() - begun;
            lock.lock();
            shared.asked.reset();
            shared.done = std::move(done);
            if (shared.waker != nullptr) shared.waker->wake();
        }
        shared.has_left = true;
        shared.changed.notify_all();
    }

    SharedClient client_;
    std::shared_ptr<Shared> shared_;
    std::thread worker_;
};

}  // namespace

std::string_view step_name(Step step) {
    switch (step) {
        case Step::init: return "taking over the transactional id";
        case Step::read_positions: return "reading the positions";
        case Step::send_positions: return "sending the positions";
        case Step::commit: return "committing";
        case Step::abort: return "aborting";
    }
    return "unknown";
}

Result<TransactionalClient> make_rdkafka_transactional(
    const ProducerSettings& settings,
    Waker& waker,
    std::string& problem
) {
    auto made = make_producer_client(settings, problem);
    if (!made) return made.error();
    const SharedClient client = std::move(made).value();
    return TransactionalClient{
        .producer = wrap_producer(client, waker, settings.header_lists_kept),
        .transactions = std::make_unique<RdKafkaTransactions>(client, settings, waker)};
}

}  // namespace milepost::upstream
