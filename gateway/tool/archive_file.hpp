#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/time.hpp"
#include "storage/format/offsets.hpp"
#include "storage/format/record_batch.hpp"

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

// An archive: batches of a log as they are, in one file. storage/FORMAT.md, "Archive".
namespace milepost::tool {

// `identity`: <gateway id>/<log id>.
void append_archive_head(const std::string& identity, std::string& to);
// `batch`: one whole, checked batch.
void append_archive_frame(const storage::TopicPartition& name, Bytes batch, std::string& to);
// How many records there are before it.
void append_archive_end(std::uint64_t records, std::string& to);

// By the first bytes. False also if it cannot be read.
[[nodiscard]] bool is_archive(const std::filesystem::path& file);

// When the first record of a batch is, and when the last frame of the same partition before it
// ended: the order of the frames. See "Archive".
[[nodiscard]] Timestamp frame_time(const storage::BatchHeader& batch, Timestamp newest_before);

// Reads an archive from its beginning. Hostile input: whatever is wrong is a Failure that says
// where. Thread: one.
class ArchiveFile {
public:
    struct Frame {
        storage::TopicPartition name;
        storage::BatchHeader batch;
        Buffer bytes;  // the whole batch, checked
    };

    // Only the first `bytes` of it are looked at, which then need no end.
    explicit ArchiveFile(const std::filesystem::path& file, std::uint64_t bytes = UINT64_MAX);

    [[nodiscard]] const std::string& identity() const { return identity_; }

    // False: at the end, which is as it should be. `frame` keeps its memory.
    bool next(Frame& frame);

    [[nodiscard]] std::uint64_t position() const { return at_; }

    [[nodiscard]] std::uint64_t size() const { return size_; }

private:
    struct Close {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };

    [[noreturn]] void refuse(const std::string& what) const;
    void read(MutableBytes into);
    void read_head();
    void check_end(const std::byte* frame);

    std::filesystem::path path_;
    std::unique_ptr<std::FILE, Close> file_;
    std::uint64_t size_ = 0;  // of what is looked at
    bool needs_end_;
    std::string identity_;
    std::uint64_t at_ = 0;     // behind what was read
    std::uint64_t frame_ = 0;  // where what is being read begins
    std::uint64_t records_ = 0;
};

}  // namespace milepost::tool
