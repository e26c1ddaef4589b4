#pragma once

#include "gateway/tool/log_source.hpp"
#include "gateway/tool/partition_batches.hpp"
#include "gateway/tool/record_stream.hpp"
#include "gateway/tool/selection.hpp"
#include "storage/format/batch_builder.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace milepost::tool {

// The selected records of a log as batches, in the order of an archive's frames: whole ones as they
// are in the log, those that the selection cuts made anew. Blocks, and throws a Failure when it
// cannot go on. Thread: one.
class ArchiveSource {
public:
    using Newest = std::map<storage::TopicPartition, Timestamp>;

    // `positions`: where each partition begins and ends. `newest`: the largest timestamp of each in
    // the frames before. `log` and `selection` outlive it.
    ArchiveSource(
        LogSource& log,
        const Selection& selection,
        const std::vector<StreamPosition>& positions,
        const Newest& newest
    );

    struct Batch {
        const storage::TopicPartition& name;
        Bytes bytes;
        std::uint64_t records;
        Timestamp newest;
    };

    ~ArchiveSource();

    // nullopt: there are no more. Valid until it is passed.
    std::optional<Batch> next();
    // The batch at hand is dealt with.
    void pass();

    // Behind the batches that were passed.
    [[nodiscard]] std::vector<StreamPosition> positions() const;

    // Of its offsets.
    [[nodiscard]] StreamProgress progress() const;

private:
    struct Part;

    static bool later(const Part* left, const Part* right);
    bool advance(Part& part);
    bool cut(Part& part, const CheckedBatch& batch);
    void push(Part& part);

    const Selection& selection_;
    std::vector<std::unique_ptr<Part>> parts_;
    std::vector<Part*> heads_;  // a heap
    std::uint64_t all_ = 0;
    storage::BatchBuilder builder_;
    Buffer scratch_;
};

}  // namespace milepost::tool
