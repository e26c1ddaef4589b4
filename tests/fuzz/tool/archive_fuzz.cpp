// An archive from anywhere: the reader ends, with records or with a Failure, and what it gives
// keeps its promises.
#include "gateway/tool/archive_file.hpp"
#include "gateway/tool/failure.hpp"
#include "gateway/tool/record_stream.hpp"
#include "storage/base/check.hpp"
#include "storage/format/crc32c.hpp"
#include "storage/format/record_batch.hpp"
#include "storage/log/segment_name.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

using namespace milepost;
using namespace milepost::storage;
using namespace milepost::tool;

namespace {

constexpr std::size_t head_bytes = 12;
constexpr std::size_t frame_bytes = 20;

// A file in memory, always the same one.
std::string write_file(Bytes bytes) {
    static const int file = ::memfd_create("archive", MFD_CLOEXEC);
    MILEPOST_CHECK(file >= 0 && ::ftruncate(file, 0) == 0);
    const auto written = ::pwrite(file, bytes.data(), bytes.size(), 0);
    MILEPOST_CHECK(written == static_cast<ssize_t>(bytes.size()));
    return "/proc/self/fd/" + std::to_string(file);
}

struct Seen {
    std::uint64_t records = 0;
    bool is_whole = false;
    std::string written{};  // the same archive, as export writes it
};

// Frame by frame, and no more than the file has.
Seen read_frames(const std::string& file, std::uint64_t bytes) {
    Seen seen;
    try {
        ArchiveFile archive{file, bytes};
        MILEPOST_CHECK(archive.identity().size() <= 1024);
        append_archive_head(archive.identity(), seen.written);
        ArchiveFile::Frame frame;
        auto position = archive.position();
        while (archive.next(frame)) {
            MILEPOST_CHECK(archive.position() > position && archive.position() <= archive.size());
            position = archive.position();
            MILEPOST_CHECK(is_topic_name(frame.name.topic) && frame.name.partition >= 0);
            MILEPOST_CHECK(check_batch(frame.bytes).has_value());
            MILEPOST_CHECK(frame.batch.total_bytes == frame.bytes.size());
            seen.records += static_cast<std::uint64_t>(frame.batch.record_count);
            append_archive_frame(frame.name, frame.bytes, seen.written);
        }
        MILEPOST_CHECK(archive.position() == archive.size());
        append_archive_end(seen.records, seen.written);
        seen.is_whole = true;
    } catch (const Failure&) {
        // It is refused.
    }
    return seen;
}

// Record by record, and again from the middle on.
void read_records(const std::string& file, const Seen& frames) {
    const Selection everything;
    std::uint64_t records = 0;
    std::vector<StreamPosition> middle;
    std::optional<Offset> behind_middle;
    try {
        const auto stream = open_archive_stream(file, everything, {});
        while (const auto* record = stream->next()) {
            MILEPOST_CHECK(is_topic_name(record->topic) && record->partition >= 0);
            ++records;
            if (!middle.empty() && !behind_middle) behind_middle = record->offset;
            stream->pass();
            MILEPOST_CHECK(stream->progress().done <= stream->progress().all);
            if (records == frames.records / 2) middle = stream->positions();
        }
        MILEPOST_CHECK(frames.is_whole && records <= frames.records);
    } catch (const Failure&) {
        return;
    }
    if (!behind_middle) return;
    const auto again = open_archive_stream(file, everything, middle);
    const auto* record = again->next();
    MILEPOST_CHECK(record != nullptr && record->offset == *behind_middle);
}

void read_all(Bytes bytes) {
    const auto file = write_file(bytes);
    const auto frames = read_frames(file, UINT64_MAX);
    const auto part = read_frames(file, bytes.size() / 2);
    MILEPOST_CHECK(part.records <= frames.records);
    read_records(file, frames);
    if (!frames.is_whole) return;
    MILEPOST_CHECK(is_archive(file) && frames.written.size() == bytes.size());
    const auto again = read_frames(write_file(as_bytes(frames.written)), UINT64_MAX);
    MILEPOST_CHECK(again.is_whole && again.written == frames.written);
}

void seal(MutableBytes part) {
    store_little(part.data() + 4, crc32c(Bytes{part}.subspan(8)));
}

void seal_batch(MutableBytes batch) {
    if (batch.size() < batch_header_bytes) return;
    // A batch that says that it is shorter than its frame stays so.
    const auto said = load_big<std::int32_t>(batch.data() + batch_layout::batch_length);
    const auto bytes = batch_prefix_bytes + static_cast<std::size_t>(std::max(said, 0));
    if (bytes >= batch_header_bytes && bytes < batch.size()) batch = batch.first(bytes);
    store_big(
        batch.data() + batch_layout::batch_length,
        static_cast<std::int32_t>(batch.size() - batch_prefix_bytes)
    );
    store_big(batch.data() + batch_layout::magic, batch_magic);
    store_big(
        batch.data() + batch_layout::crc,
        crc32c(Bytes{batch}.subspan(batch_layout::attributes))
    );
}

// Every CRC as a hostile writer would have it, as far as there are whole frames.
void seal_all(MutableBytes bytes) {
    if (bytes.size() < head_bytes) return;
    const auto head = head_bytes + load_little<std::uint16_t>(bytes.data() + 10);
    if (bytes.size() < head) return;
    seal(bytes.first(head));
    bytes = bytes.subspan(head);
    while (bytes.size() >= frame_bytes) {
        const bool is_end = as_text(Bytes{bytes}.first(4)) == "MPAE";
        const std::size_t topic = is_end ? 0 : load_little<std::uint16_t>(bytes.data() + 16);
        const std::size_t batch = is_end ? 0 : load_little<std::uint32_t>(bytes.data() + 8);
        if (topic + batch > bytes.size() - frame_bytes) return;
        const auto frame = bytes.first(frame_bytes + topic + batch);
        if (batch > 0) seal_batch(frame.subspan(frame_bytes + topic));
        seal(frame);
        bytes = bytes.subspan(frame.size());
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Bytes input = std::as_bytes(std::span{data, size});
    read_all(input);
    Buffer sealed{input.begin(), input.end()};
    seal_all(sealed);
    if (!std::ranges::equal(input, sealed)) read_all(sealed);
    return 0;
}
