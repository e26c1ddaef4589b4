#include "gateway/tool/chunk_records.hpp"
#include "gateway/tool/commands.hpp"
#include "gateway/tool/failure.hpp"
#include "gateway/tool/figures_print.hpp"
#include "gateway/tool/ledger_files.hpp"
#include "gateway/tool/progress.hpp"
#include "gateway/tool/reconcile_account.hpp"
#include "gateway/upstream/client_settings.hpp"
#include "gateway/upstream/consumer.hpp"
#include "sensors/payload.hpp"
#include "storage/base/units.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <set>
#include <thread>

namespace milepost::tool {

namespace {

constexpr std::size_t chunk_bytes = 4 * mib;
constexpr std::chrono::milliseconds poll_pause{200};
constexpr std::chrono::seconds upstream_read_min{30};
constexpr std::uint64_t records_per_progress = 65'536;

class Reconcile {
public:
    Reconcile(const ReconcileOptions& options, LogSource& log)
        : options_(options)
        , log_(log)
        , status_(log.status())
        , brokers_(options.brokers) {
        if (brokers_.empty() && status_.upstream) brokers_ = status_.upstream->bootstrap_servers;
    }

    int run() {
        Account account{!brokers_.empty()};
        // First the ledgers: whatever is acknowledged in them must be in what is read later.
        for (const auto& file : options_.ledgers) {
            read_ledger(file, [&](const sensors::LedgerEntry& entry) { account.add(entry); });
        }
        const bool is_forwarded = brokers_.empty() || wait_until_forwarded();
        read_log(account);
        const bool is_read = brokers_.empty() || read_upstream(account);
        progress_.clear();

        const bool waits = !is_forwarded || !is_read;
        const auto figures = account.figures(waits);
        print_out(options_.json ? figures_json(figures) : figures_text(figures));
        if (is_broken(figures, is_exactly_once())) return exit_run_time;
        return waits ? exit_cannot_tell : exit_good;
    }

private:
    [[nodiscard]] bool is_exactly_once() const {
        return status_.upstream && status_.upstream->delivery == "exactly_once";
    }

    bool wait_until_forwarded() {
        const auto deadline = monotonic_now() + options_.wait;
        while (true) {
            std::uint64_t lag = 0;
            for (const auto& facts : log_.partitions())
                lag += static_cast<std::uint64_t>(facts.lag());
            if (lag == 0) return true;
            if (!status_.is_running || monotonic_now() >= deadline) {
                progress_.clear();
                fmt::print(stderr, "milepost: {} records are not forwarded yet\n", lag);
                return false;
            }
            progress_.show_text(fmt::format("{} records are not forwarded yet", lag));
            std::this_thread::sleep_for(poll_pause);
        }
    }

    void read_log(Account& account) {
        Buffer scratch;
        for (const auto& facts : log_.partitions()) {
            topics_.insert(facts.name.topic);
            auto next = facts.start;
            while (next < facts.durable) {
                const auto chunk = log_.read(facts.name, next, chunk_bytes);
                for_each_record(
                    chunk.batches,
                    next,
                    scratch,
                    [&](const storage::StoredRecord& record) {
                        take(account, Place::log, facts.name, record.value, record.timestamp);
                        return true;
                    }
                );
                if (chunk.next <= next && chunk.start <= next) break;
                next = std::max(chunk.next, chunk.start);
            }
        }
    }

    // False: the upstream could not be read to its end.
    bool read_upstream(Account& account) {
        upstream::ClientSettings settings;
        settings.bootstrap_servers = brokers_;
        settings.client_id = "milepost-reconcile";
        settings.properties = options_.properties;
        std::string problem;
        auto consumer =
            upstream::make_rdkafka_consumer(settings, {topics_.begin(), topics_.end()}, problem);
        if (!consumer) throw Failure{exit_usage, "-X: " + problem};
        records_ = 0;
        storage::TopicPartition from;
        const auto read = (*consumer)->read_to_end(
            std::max<Duration>(options_.wait, upstream_read_min),
            [&](const upstream::ConsumedRecord& record) {
                if (from.topic != record.topic) from.topic = record.topic;
                from.partition = record.partition;
                take(account, Place::upstream, from, record.value, record.timestamp);
            }
        );
        progress_.clear();
        if (!read) {
            fmt::print(stderr, "milepost: {}: {}\n", brokers_, read.error().message());
            return false;
        }
        for (const auto& topic : read->missing_topics) {
            fmt::print(stderr, "milepost: {}: there is no topic {}\n", brokers_, topic);
        }
        if (!read->reached_end) {
            fmt::print(
                stderr,
                "milepost: {}: not read to its end in time{}{}\n",
                brokers_,
                read->problem.empty() ? "" : ": ",
                read->problem
            );
        }
        return read->reached_end;
    }

    void take(
        Account& account,
        Place place,
        const storage::TopicPartition& from,
        const std::optional<Bytes>& value,
        Timestamp timestamp
    ) {
        if (++records_ % records_per_progress == 0) {
            progress_.show_text(
                fmt::format("{} records of {}", records_, place == Place::log ? "the log" : "Kafka")
            );
        }
        const auto head = value ? parser_.parse_head(*value) : no_reading_;
        if (!head) {
            account.add_foreign(place);
            return;
        }
        account.add(
            place,
            from,
            {.vehicle = head->vehicle.text(),
             .seq = head->seq,
             .received = timestamp,
             .payload = *value}
        );
    }

    const ReconcileOptions& options_;
    LogSource& log_;
    Status status_;
    std::string brokers_;
    std::set<std::string> topics_;
    sensors::PayloadParser parser_;
    Result<sensors::ReadingHead> no_reading_ = ErrorCode{
        1,
        boost::system::generic_category()};  // only asked whether it has a value
    std::uint64_t records_ = 0;
    Progress progress_{"reconcile"};
};

}  // namespace

int run(const ReconcileOptions& options) {
    try {
        const auto log = open_source(options.source);
        return Reconcile{options, *log}.run();
    } catch (const Failure& failure) {
        // 1 means that something is broken; not being able to look is something else.
        if (failure.code() == exit_usage) throw;
        throw Failure{exit_cannot_tell, failure.what()};
    }
}

}  // namespace milepost::tool
