#include "gateway/tool/read_ahead.hpp"

#include "storage/base/bytes.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

namespace milepost::tool {

namespace {

constexpr std::size_t blocks_most = 4;
constexpr std::size_t block_bytes = read_ahead_bytes_max / blocks_most;
constexpr std::size_t block_records = 2048;
constexpr std::size_t block_headers = std::size_t{4} * block_records;

// Records and what they are views of. Nothing moves while there is one.
class Block {
public:
    struct Entry {
        ReplayRecord record;
        std::size_t position = 0;  // which of the stream's
    };

    Block() { clear(); }

    void clear() {
        entries_.clear();
        bytes_.clear();
        headers_.clear();
        entries_.reserve(block_records);
        bytes_.reserve(block_bytes);
        headers_.reserve(block_headers);
    }

    // Copies all but the topic's name. False: it has no room for this one, which the next has.
    bool add(const ReplayRecord& record, std::string_view topic, std::size_t position) {
        const auto bytes = bytes_of(record);
        const bool has_room = entries_.size() < block_records &&
                              bytes <= bytes_.capacity() - bytes_.size() &&
                              record.headers.size() <= headers_.capacity() - headers_.size();
        if (!has_room) {
            if (!entries_.empty()) return false;
            bytes_.reserve(bytes);
            headers_.reserve(record.headers.size());
        }
        auto& added = entries_.emplace_back(Entry{record, position}).record;
        added.topic = topic;
        if (record.key) added.key = copy(*record.key);
        if (record.value) added.value = copy(*record.value);
        const auto first = headers_.size();
        for (const auto& header : record.headers) {
            const auto name = copy(as_bytes(header.name));
            headers_.push_back({.name = as_text(name), .value = copy(header.value)});
        }
        added.headers = std::span{headers_}.subspan(first);
        return true;
    }

    [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }

    std::exception_ptr failed;  // behind its last record
    bool is_last = false;       // and there the stream ends
    std::vector<StreamPosition> end;

private:
    static std::size_t bytes_of(const ReplayRecord& record) {
        std::size_t bytes = (record.key ? record.key->size() : 0) +
                            (record.value ? record.value->size() : 0);
        for (const auto& header : record.headers)
            bytes += header.name.size() + header.value.size();
        return bytes;
    }

    Bytes copy(Bytes from) {
        const auto at = bytes_.size();
        bytes_.insert(bytes_.end(), from.begin(), from.end());
        return Bytes{bytes_}.subspan(at);
    }

    std::vector<Entry> entries_;
    Buffer bytes_;
    std::vector<storage::HeaderView> headers_;
};

class ReadAhead final : public RecordStream {
public:
    explicit ReadAhead(std::unique_ptr<RecordStream> stream)
        : stream_(std::move(stream))
        , begin_(stream_->positions())
        , positions_(begin_)
        , all_(left())
        , thread_([this] { run(); }) {}

    ~ReadAhead() override {
        {
            const std::lock_guard lock{mutex_};
            is_ended_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }

    const ReplayRecord* next() override {
        if (block_ && at_ + 1 < block_->entries().size()) return &block_->entries()[++at_].record;
        while (!block_ || !is_at_end()) {
            take();
            if (!block_->entries().empty()) return &block_->entries().front().record;
        }
        if (block_->failed) std::rethrow_exception(block_->failed);
        positions_ = block_->end;
        return nullptr;
    }

    void pass() override {
        const auto& entry = block_->entries()[at_];
        positions_[entry.position].next = entry.record.offset + 1;
    }

    [[nodiscard]] std::vector<StreamPosition> positions() const override { return positions_; }

    [[nodiscard]] StreamProgress progress() const override {
        return {.done = all_ - std::min(left(), all_), .all = all_};
    }

private:
    [[nodiscard]] bool is_at_end() const { return block_->is_last || block_->failed; }

    [[nodiscard]] std::uint64_t left() const {
        std::uint64_t left = 0;
        for (const auto& position : positions_)
            left += static_cast<std::uint64_t>(position.end - position.next);
        return left;
    }

    // The next block; the one before is given back.
    void take() {
        std::unique_lock lock{mutex_};
        if (block_) free_.push_back(std::move(block_));
        changed_.notify_all();
        changed_.wait(lock, [this] { return !full_.empty(); });
        block_ = std::move(full_.front());
        full_.pop_front();
        at_ = 0;
    }

    // What follows is the thread's own.
    void run() {
        for (std::size_t i = 0; i < begin_.size(); ++i)
            indexes_.emplace(
                std::pair{std::string_view{begin_[i].name.topic}, begin_[i].name.partition},
                i
            );
        for (std::size_t made = 0;; ++made) {
            auto block = made < blocks_most ? std::make_unique<Block>() : wait_for_block();
            if (!block) return;
            fill(*block);
            const bool is_end = block->is_last || block->failed;
            {
                const std::lock_guard lock{mutex_};
                full_.push_back(std::move(block));
            }
            changed_.notify_all();
            if (is_end) return;
        }
    }

    // nullptr: nobody wants more.
    std::unique_ptr<Block> wait_for_block() {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [this] { return !free_.empty() || is_ended_; });
        if (is_ended_) return nullptr;
        auto block = std::move(free_.front());
        free_.pop_front();
        return block;
    }

    void fill(Block& block) {
        block.clear();
        try {
            while (true) {
                if (record_ == nullptr) record_ = stream_->next();
                if (record_ == nullptr) break;
                const auto index = indexes_.at({record_->topic, record_->partition});
                if (!block.add(*record_, begin_[index].name.topic, index)) return;
                stream_->pass();
                record_ = nullptr;
            }
            block.end = stream_->positions();
            block.is_last = true;
        } catch (...) {
            block.failed = std::current_exception();
        }
    }

    std::unique_ptr<RecordStream> stream_;     // the thread's own, from its beginning on
    const std::vector<StreamPosition> begin_;  // names stay where they are
    const ReplayRecord* record_ = nullptr;
    std::map<std::pair<std::string_view, std::int32_t>, std::size_t> indexes_;

    std::vector<StreamPosition> positions_;
    std::uint64_t all_;
    std::unique_ptr<Block> block_;  // being sent
    std::size_t at_ = 0;

    std::mutex mutex_;  // what follows
    std::condition_variable changed_;
    std::deque<std::unique_ptr<Block>> full_;
    std::deque<std::unique_ptr<Block>> free_;
    bool is_ended_ = false;

    std::thread thread_;
};

}  // namespace

std::unique_ptr<RecordStream> read_ahead(std::unique_ptr<RecordStream> stream) {
    return std::make_unique<ReadAhead>(std::move(stream));
}

}  // namespace milepost::tool
