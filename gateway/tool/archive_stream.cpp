// Reads an archive in the order in which the log's records would come.
#include "gateway/tool/archive_file.hpp"
#include "gateway/tool/failure.hpp"
#include "gateway/tool/record_stream.hpp"
#include "gateway/tool/stored_head.hpp"
#include "storage/base/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <compare>
#include <map>
#include <memory>
#include <optional>

namespace milepost::tool {

namespace {

constexpr storage::Offset no_end{INT64_MAX};
// One batch of each partition is open at a time. Archives of a log stay far below.
constexpr std::size_t partitions_max = 10'000;
constexpr std::size_t open_bytes_max = 256 * mib;

// The batch of one partition that is being read.
struct OpenBatch {
    OpenBatch(const std::string& identity, storage::TopicPartition of)
        : name(std::move(of))
        , shown(identity, name) {}

    storage::TopicPartition name;
    StoredHead shown;
    Timestamp newest{INT64_MIN};  // of all its frames so far
    Buffer bytes;
    Buffer scratch;
    std::optional<storage::RecordCursor> cursor;  // none: a frame is awaited
    ReplayRecord head;
};

// A place in the order of all records.
struct Place {
    Timestamp time;
    const storage::TopicPartition* name = nullptr;

    friend std::strong_ordering operator<=>(const Place& left, const Place& right) {
        if (const auto by_time = left.time <=> right.time; by_time != 0) return by_time;
        return *left.name <=> *right.name;
    }
};

class ArchiveStream final : public RecordStream {
public:
    ArchiveStream(
        const std::string& file,
        const Selection& selection,
        const std::vector<StreamPosition>& resume
    )
        : file_(file)
        , selection_(selection) {
        has_frame_ = file_.next(frame_);
        if (resume.empty()) return;
        if (resume.size() != 1) throw Failure{exit_run_time, "the state is of another source"};
        // All that is before it is read again: where the batches of a place begin nobody has noted.
        while (taken_ < resume[0].next.value()) {
            if (advance() == nullptr) {
                throw Failure{exit_run_time, file + " has less records than were sent from it"};
            }
        }
        pass();
    }

    const ReplayRecord* next() override {
        while (const auto* record = advance()) {
            if (selection_.wants(*record)) return record;
        }
        return nullptr;
    }

    void pass() override { passed_ = storage::Offset{taken_}; }

    [[nodiscard]] std::vector<StreamPosition> positions() const override {
        return {{.name = {"", 0}, .next = passed_, .end = no_end}};
    }

    [[nodiscard]] StreamProgress progress() const override {
        return {.done = file_.position(), .all = file_.size()};
    }

private:
    static bool later(const OpenBatch* left, const OpenBatch* right) {
        return place_of(*left) > place_of(*right);
    }

    static Place place_of(const OpenBatch& open) { return {open.head.timestamp, &open.name}; }

    const ReplayRecord* advance() {
        if (is_given_) {
            std::ranges::pop_heap(heads_, later);
            auto* const last = heads_.back();
            heads_.pop_back();
            push(*last);
            is_given_ = false;
        }
        while (is_frame_due())
            open_frame();
        if (heads_.empty()) return nullptr;
        const auto place = place_of(*heads_.front());
        if (!newest_ || place > *newest_) newest_ = place;
        is_given_ = true;
        ++taken_;
        return &heads_.front()->head;
    }

    // Whether a record of the next frame may come before all that are open. Those of later frames
    // cannot: see storage/FORMAT.md, "Archive".
    bool is_frame_due() {
        if (!has_frame_) return false;
        auto& open = opened(frame_.name);
        if (open.cursor) return false;
        if (heads_.empty()) return true;
        const Place place{frame_time(frame_.batch, open.newest), &open.name};
        return place < place_of(*heads_.front()) || (newest_ && place <= *newest_);
    }

    OpenBatch& opened(const storage::TopicPartition& name) {
        const auto found = open_.find(name);
        if (found != open_.end()) return *found->second;
        if (open_.size() == partitions_max) {
            throw Failure{exit_run_time, fmt::format("over {} partitions", partitions_max)};
        }
        auto made = std::make_unique<OpenBatch>(file_.identity(), name);
        return *open_.emplace(name, std::move(made)).first->second;
    }

    void open_frame() {
        auto& open = opened(frame_.name);
        bytes_open_ -= open.bytes.capacity() + open.scratch.capacity();
        open.bytes.swap(frame_.bytes);
        open.newest = std::max(open.newest, frame_.batch.max_timestamp);
        auto cursor = storage::RecordCursor::open(open.bytes, frame_.batch, open.scratch);
        if (!cursor) refuse(open, "a batch cannot be read", cursor.error());
        open.cursor = *cursor;
        bytes_open_ += open.bytes.capacity() + open.scratch.capacity();
        if (bytes_open_ > open_bytes_max) {
            throw Failure{
                exit_run_time,
                fmt::format("batches of over {} MiB are open at a time", open_bytes_max / mib)};
        }
        push(open);
        has_frame_ = file_.next(frame_);
    }

    // With its next record, if there is one.
    void push(OpenBatch& open) {
        const auto record = open.cursor->next();
        if (!record) refuse(open, "a record is rotten", record.error());
        if (!*record) {
            open.cursor.reset();
            return;
        }
        open.shown.show(**record, open.name, open.head);
        heads_.push_back(&open);
        std::ranges::push_heap(heads_, later);
    }

    [[noreturn]] static void refuse(
        const OpenBatch& open,
        std::string_view what,
        const ErrorCode& error
    ) {
        throw Failure{
            exit_run_time,
            fmt::format(
                "{}-{}: {}: {}",
                open.name.topic,
                open.name.partition,
                what,
                error.message()
            )};
    }

    ArchiveFile file_;
    const Selection& selection_;
    ArchiveFile::Frame frame_;  // the next one
    bool has_frame_ = false;
    std::map<storage::TopicPartition, std::unique_ptr<OpenBatch>> open_;
    std::vector<OpenBatch*> heads_;  // a heap
    std::optional<Place> newest_;    // of all that were given
    std::size_t bytes_open_ = 0;
    bool is_given_ = false;  // the front one
    std::int64_t taken_ = 0;
    storage::Offset passed_;
};

}  // namespace

std::unique_ptr<RecordStream> open_archive_stream(
    const std::string& file,
    const Selection& selection,
    const std::vector<StreamPosition>& resume
) {
    return std::make_unique<ArchiveStream>(file, selection, resume);
}

}  // namespace milepost::tool
