#pragma once

#include "gateway/tool/log_source.hpp"
#include "gateway/tool/replay_record.hpp"
#include "gateway/tool/selection.hpp"
#include "storage/format/offsets.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

// Where replay and export read: the selected records of all partitions, by timestamp, each
// partition's in its own order. The same from the same positions on, so that a count is a place.
namespace milepost::tool {

// A file has two entries with no topic: its bytes, and (partition 1) its lines. An archive has one:
// its records.
struct StreamPosition {
    storage::TopicPartition name;
    storage::Offset next;
    storage::Offset end;  // where the replay stops; fixed at its beginning

    friend bool operator==(const StreamPosition&, const StreamPosition&) = default;
};

struct StreamProgress {
    std::uint64_t done = 0;  // in the source's own unit
    std::uint64_t all = 0;
};

// All calls block and throw a Failure when they cannot go on.
class RecordStream {
public:
    RecordStream() = default;
    RecordStream(const RecordStream&) = delete;
    RecordStream& operator=(const RecordStream&) = delete;
    virtual ~RecordStream() = default;

    // nullptr at the end. Valid until the next call.
    virtual const ReplayRecord* next() = 0;
    // The record at hand is dealt with.
    virtual void pass() = 0;
    // Behind the last record that was passed.
    [[nodiscard]] virtual std::vector<StreamPosition> positions() const = 0;
    [[nodiscard]] virtual StreamProgress progress() const = 0;
};

// What the selection leaves of each partition. A Failure if it names a topic or partition that is
// not there.
[[nodiscard]] std::vector<StreamPosition> select_positions(
    LogSource& log,
    const Selection& selection
);

// `resume`: positions() of the same stream earlier; empty: from the selection's beginning.
// `identity`: <gateway id>/<log id>, for `mp.id`; empty: none is added. `log` outlives the stream.
[[nodiscard]] std::unique_ptr<RecordStream> open_log_stream(
    LogSource& log,
    const Selection& selection,
    const std::string& identity,
    const std::vector<StreamPosition>& resume
);

// An archive of export. Where it goes on, what is before it is read again.
[[nodiscard]] std::unique_ptr<RecordStream> open_archive_stream(
    const std::string& file,
    const Selection& selection,
    const std::vector<StreamPosition>& resume
);

// NDJSON of export; `-` is stdin, which cannot be resumed. Errors name file and line.
[[nodiscard]] std::unique_ptr<RecordStream> open_file_stream(
    const std::string& file,
    const Selection& selection,
    const std::vector<StreamPosition>& resume
);

}  // namespace milepost::tool
