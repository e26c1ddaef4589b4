#pragma once

#include "gateway/tool/replay_record.hpp"
#include "storage/base/time.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

// Where replay and export write.
namespace milepost::tool {

// Text; an archive is no sink of records: export_archive().
enum class FileFormat : std::uint8_t { ndjson, csv, archive };

// All calls block and throw a Failure when they cannot go on. Thread: one.
class ReplaySink {
public:
    ReplaySink() = default;
    ReplaySink(const ReplaySink&) = delete;
    ReplaySink& operator=(const ReplaySink&) = delete;
    virtual ~ReplaySink() = default;

    // How many records of this replay it has already, for good or on their way by themselves: the
    // replay goes on behind them. At least `count` of the state that it was opened with.
    [[nodiscard]] virtual std::uint64_t taken_before() const = 0;
    // Takes a record (copied). Waits while too much is on its way.
    virtual void put(const ReplayRecord& record) = 0;
    // Passes the time until then.
    virtual void wait_until(Instant due) = 0;
    // Everything put is there for good when this returns. The length of a file.
    virtual std::uint64_t settle() = 0;

    // The replay is over, and its state says so: nothing need be kept to go on with.
    virtual void finish() {}

    // Records that the other side did not want: the replay ends as failed.
    [[nodiscard]] virtual bool has_refusals() const { return false; }

    // What there is to say at the end, one line; empty: nothing.
    [[nodiscard]] virtual std::string remark() const { return {}; }
};

// Goes on at `bytes`: what is behind was not settled, and is cut. A replay that is not resumed
// makes the file; one that is there must be empty.
[[nodiscard]] std::unique_ptr<ReplaySink> open_file_sink(
    const std::filesystem::path& file,
    FileFormat format,
    bool is_resumed,
    std::uint64_t bytes,
    std::uint64_t count
);
[[nodiscard]] std::unique_ptr<ReplaySink> open_stdout_sink(FileFormat format);

}  // namespace milepost::tool
