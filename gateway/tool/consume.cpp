#include "gateway/tool/chunk_records.hpp"
#include "gateway/tool/commands.hpp"
#include "gateway/tool/failure.hpp"
#include "storage/base/units.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

namespace milepost::tool {

namespace {

constexpr std::size_t chunk_bytes = mib;
constexpr std::chrono::milliseconds long_wait{25'000};
constexpr std::chrono::milliseconds poll_pause{100};  // with several partitions

struct Reader {
    storage::TopicPartition name;
    storage::Offset next;
    std::optional<storage::Offset> stop;
    bool is_done = false;
};

storage::Offset begin_of(
    const ConsumeOptions& options,
    const PartitionFacts& facts,
    LogSource& log
) {
    const auto clamped = [&](std::int64_t offset) {
        return std::clamp(storage::Offset{offset}, facts.start, facts.durable);
    };
    if (std::holds_alternative<Beginning>(options.from)) return facts.start;
    if (const auto* at = std::get_if<AtOffset>(&options.from)) return clamped(at->offset);
    if (const auto* before = std::get_if<BeforeEnd>(&options.from)) {
        const auto count = std::min(before->count, facts.durable.value());
        return clamped(facts.durable.value() - count);
    }
    if (const auto* from = std::get_if<FromTime>(&options.from)) {
        return log.find_timestamp(facts.name, from->time);
    }
    return facts.durable;
}

std::vector<Reader> open_readers(const ConsumeOptions& options, LogSource& log) {
    std::vector<Reader> readers;
    const auto all = log.partitions();
    for (const auto& topic : options.topics) {
        const bool is_known = std::ranges::any_of(all, [&](const PartitionFacts& facts) {
            return facts.name.topic == topic;
        });
        if (!is_known) throw Failure{exit_run_time, fmt::format("there is no topic {}", topic)};
    }
    for (const auto& facts : all) {
        const bool is_asked = options.topics.empty() ||
                              std::ranges::find(options.topics, facts.name.topic) !=
                                  options.topics.end();
        if (!is_asked || (options.partition && *options.partition != facts.name.partition)) {
            continue;
        }
        Reader reader{.name = facts.name, .next = begin_of(options, facts, log), .stop = {}};
        if (options.until) reader.stop = log.find_timestamp(facts.name, *options.until);
        readers.push_back(std::move(reader));
    }
    if (readers.empty()) throw Failure{exit_run_time, "there is no such partition"};
    return readers;
}

class Consumer {
public:
    Consumer(const ConsumeOptions& options, LogSource& log)
        : options_(options)
        , log_(log)
        , readers_(open_readers(options, log)) {}

    void run() {
        while (!is_over()) {
            bool moved = false;
            for (auto& reader : readers_) {
                if (!reader.is_done) moved = read(reader) || moved;
            }
            if (!moved && !is_over() && !wait()) return;
        }
    }

private:
    [[nodiscard]] bool is_full() const {
        return options_.messages_max && printed_ >= *options_.messages_max;
    }

    [[nodiscard]] bool is_over() const {
        return is_full() || std::ranges::all_of(readers_, &Reader::is_done);
    }

    // False: there is nothing more at the moment.
    bool read(Reader& reader) {
        if (is_full()) return true;
        if (reader.stop && reader.next >= *reader.stop) {
            reader.is_done = true;
            return true;
        }
        const auto chunk = log_.read(reader.name, reader.next, chunk_bytes);
        if (chunk.start > reader.next) {
            fmt::print(
                stderr,
                "milepost: {}-{}: offsets {} to {} are not kept any more\n",
                reader.name.topic,
                reader.name.partition,
                reader.next.value(),
                chunk.start.value() - 1
            );
            reader.next = chunk.start;
            return true;
        }
        if (chunk.durable < reader.next) {
            throw Failure{exit_run_time, "the log is another one now: its end moved back"};
        }
        print(reader, chunk);
        const bool moved = chunk.next > reader.next;
        reader.next = chunk.next;
        if (options_.exits_at_end && reader.next >= chunk.durable) reader.is_done = true;
        return moved;
    }

    void print(const Reader& reader, const Chunk& chunk) {
        text_.clear();
        for_each_record(
            chunk.batches,
            reader.next,
            scratch_,
            [&](const storage::StoredRecord& record) {
                if ((reader.stop && record.offset >= *reader.stop) || is_full()) return false;
                if (options_.json) {
                    append_record_json(reader.name, record, text_);
                } else {
                    options_.format.append(reader.name, record, text_);
                }
                ++printed_;
                return true;
            }
        );
        print_out(text_);
    }

    // Until there may be more. False: there never will be.
    bool wait() {
        std::vector<Reader*> open;
        for (auto& reader : readers_) {
            if (!reader.is_done) open.push_back(&reader);
        }
        if (open.size() == 1) return log_.wait(open.front()->name, open.front()->next, long_wait);
        while (true) {
            for (const auto& facts : log_.partitions()) {
                const auto behind = [&](const Reader* reader) {
                    return reader->name == facts.name && reader->next != facts.durable;
                };
                if (std::ranges::any_of(open, behind)) return true;
            }
            if (!log_.wait(open.front()->name, open.front()->next, poll_pause)) return false;
        }
    }

    const ConsumeOptions& options_;
    LogSource& log_;
    std::vector<Reader> readers_;
    std::uint64_t printed_ = 0;
    std::string text_;
    Buffer scratch_;
};

}  // namespace

int run(const ConsumeOptions& options) {
    const auto log = open_source(options.source);
    Consumer{options, *log}.run();
    return exit_good;
}

}  // namespace milepost::tool
