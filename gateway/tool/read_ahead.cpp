#include "gateway/tool/read_ahead.hpp"

#include "gateway/tool/record_block.hpp"

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

// That are full; one more is being filled, and one sent.
constexpr std::size_t blocks_ahead = read_ahead_bytes_max / record_block_bytes - 2;

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

    // The next block; the one before goes back when nobody holds it any more.
    void take() {
        owner_.reset();
        block_.reset();
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [this] { return !full_.empty(); });
        block_ = std::move(full_.front());
        full_.pop_front();
        lock.unlock();
        changed_.notify_all();
        owner_ = block_;
        at_ = 0;
    }

    // What follows is the thread's own.
    void run() {
        for (std::size_t i = 0; i < begin_.size(); ++i)
            indexes_.emplace(
                std::pair{std::string_view{begin_[i].name.topic}, begin_[i].name.partition},
                i
            );
        while (true) {
            auto block = RecordBlocks::take(blocks_);
            fill(*block);
            const bool is_end = block->is_last || block->failed;
            {
                std::unique_lock lock{mutex_};
                changed_.wait(lock, [this] { return full_.size() < blocks_ahead || is_ended_; });
                if (is_ended_) return;
                full_.push_back(std::move(block));
            }
            changed_.notify_all();
            if (is_end) return;
        }
    }

    void fill(RecordBlock& block) {
        try {
            while (true) {
                if (record_ == nullptr) record_ = stream_->next();
                if (record_ == nullptr) break;
                const auto index = indexes_.at({record_->topic, record_->partition});
                auto record = *record_;
                record.owner = &owner_;
                if (!block.add(record, begin_[index].name.topic, index)) return;
                stream_->pass();
                record_ = nullptr;
            }
            block.end = stream_->positions();
            block.is_last = true;
        } catch (...) {
            block.failed = std::current_exception();
        }
    }

    const std::shared_ptr<RecordBlocks> blocks_ = std::make_shared<RecordBlocks>();
    std::unique_ptr<RecordStream> stream_;     // the thread's own, from its beginning on
    const std::vector<StreamPosition> begin_;  // names stay where they are
    const ReplayRecord* record_ = nullptr;
    std::map<std::pair<std::string_view, std::int32_t>, std::size_t> indexes_;

    std::vector<StreamPosition> positions_;
    std::uint64_t all_;
    std::shared_ptr<RecordBlock> block_;  // being sent
    std::shared_ptr<const void> owner_;   // the same
    std::size_t at_ = 0;

    std::mutex mutex_;  // what follows
    std::condition_variable changed_;
    std::deque<std::shared_ptr<RecordBlock>> full_;
    bool is_ended_ = false;

    std::thread thread_;
};

}  // namespace

std::unique_ptr<RecordStream> read_ahead(std::unique_ptr<RecordStream> stream) {
    return std::make_unique<ReadAhead>(std::move(stream));
}

}  // namespace milepost::tool
