#include "gateway/tool/archive_file.hpp"

#include "gateway/tool/failure.hpp"
#include "storage/base/units.hpp"
#include "storage/format/crc32c.hpp"
#include "storage/log/segment_name.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace milepost::tool {

namespace {

constexpr std::string_view head_magic = "MPAR";
constexpr std::string_view frame_magic = "MPAB";
constexpr std::string_view end_magic = "MPAE";
constexpr std::uint16_t version = 1;
constexpr std::size_t magic_bytes = 4;
constexpr std::size_t crc_from = 8;
constexpr std::size_t head_bytes = 12;
constexpr std::size_t frame_bytes = 20;  // before the topic; of the end all of it
constexpr std::size_t identity_bytes_max = 1024;
constexpr std::size_t topic_bytes_max = 249;
constexpr std::size_t read_buffer_bytes = 256 * kib;

template <class T>
void append(T value, std::string& to) {
    std::array<std::byte, sizeof(T)> bytes{};
    store_little(bytes.data(), value);
    to += as_text(bytes);
}

// Puts the CRC of what is behind it into the place that was left for it.
void seal(std::size_t begin, std::string& to) {
    const auto crc = storage::crc32c(as_bytes(to).subspan(begin + crc_from));
    std::array<std::byte, sizeof crc> bytes{};
    store_little(bytes.data(), crc);
    to.replace(begin + magic_bytes, bytes.size(), as_text(bytes));
}

bool begins_with(const std::byte* bytes, std::string_view magic) {
    return as_text({bytes, magic.size()}) == magic;
}

}  // namespace

void append_archive_head(const std::string& identity, std::string& to) {
    const auto begin = to.size();
    to += head_magic;
    append(std::uint32_t{0}, to);
    append(version, to);
    append(static_cast<std::uint16_t>(identity.size()), to);
    to += identity;
    seal(begin, to);
}

void append_archive_frame(const storage::TopicPartition& name, Bytes batch, std::string& to) {
    const auto begin = to.size();
    to += frame_magic;
    append(std::uint32_t{0}, to);
    append(static_cast<std::uint32_t>(batch.size()), to);
    append(name.partition, to);
    append(static_cast<std::uint16_t>(name.topic.size()), to);
    append(std::uint16_t{0}, to);
    to += name.topic;
    to += as_text(batch);
    seal(begin, to);
}

void append_archive_end(std::uint64_t records, std::string& to) {
    const auto begin = to.size();
    to += end_magic;
    append(std::uint32_t{0}, to);
    append(records, to);
    append(std::uint32_t{0}, to);
    seal(begin, to);
}

bool is_archive(const std::filesystem::path& file) {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(file, ignored)) return false;
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> opened{
        std::fopen(file.c_str(), "rbe"),
        &std::fclose};
    std::array<std::byte, magic_bytes> bytes{};
    return opened && std::fread(bytes.data(), 1, bytes.size(), opened.get()) == bytes.size() &&
           begins_with(bytes.data(), head_magic);
}

Timestamp frame_time(const storage::BatchHeader& batch, Timestamp newest_before) {
    const auto first = batch.is_log_append_time ? batch.max_timestamp : batch.base_timestamp;
    return std::max(first, newest_before);
}

ArchiveFile::ArchiveFile(const std::filesystem::path& file, std::uint64_t bytes)
    : path_(file)
    , file_(std::fopen(file.c_str(), "rbe"))
    , needs_end_(bytes == UINT64_MAX) {
    std::error_code failed;
    const auto size = std::filesystem::file_size(file, failed);
    if (!file_ || failed) {
        const auto code = failed ? failed.value() : errno;
        throw Failure{exit_disk, file.string() + ": " + std::generic_category().message(code)};
    }
    std::setvbuf(file_.get(), nullptr, _IOFBF, read_buffer_bytes);
    size_ = std::min<std::uint64_t>(size, bytes);
    read_head();
}

void ArchiveFile::refuse(const std::string& what) const {
    throw Failure{exit_run_time, fmt::format("{} at byte {}: {}", path_.string(), frame_, what)};
}

void ArchiveFile::read(MutableBytes into) {
    if (size_ - at_ < into.size()) refuse("it ends in the middle: it was cut, or is being written");
    if (std::fread(into.data(), 1, into.size(), file_.get()) != into.size()) {
        if (std::ferror(file_.get()) == 0) refuse("it became shorter");
        throw Failure{exit_disk, path_.string() + ": " + std::generic_category().message(errno)};
    }
    at_ += into.size();
}

void ArchiveFile::read_head() {
    std::array<std::byte, head_bytes> head{};
    read(head);
    if (!begins_with(head.data(), head_magic)) refuse("it is no archive");
    const auto found = load_little<std::uint16_t>(head.data() + 8);
    if (found != version) refuse(fmt::format("it is of version {}, not {}", found, version));
    const std::size_t length = load_little<std::uint16_t>(head.data() + 10);
    if (length > identity_bytes_max) refuse("its head is damaged");
    identity_.resize(length);
    read(std::as_writable_bytes(std::span{identity_.data(), length}));
    const auto crc =
        storage::crc32c_extend(storage::crc32c(Bytes{head}.subspan(crc_from)), as_bytes(identity_));
    if (crc != load_little<std::uint32_t>(head.data() + magic_bytes)) refuse("its head is damaged");
}

bool ArchiveFile::next(Frame& frame) {
    frame_ = at_;
    if (!needs_end_ && at_ == size_) return false;
    std::array<std::byte, frame_bytes> head{};
    read(head);
    if (needs_end_ && begins_with(head.data(), end_magic)) {
        check_end(head.data());
        return false;
    }
    const std::size_t batch_bytes = load_little<std::uint32_t>(head.data() + 8);
    const auto partition = load_little<std::int32_t>(head.data() + 12);
    const std::size_t topic_bytes = load_little<std::uint16_t>(head.data() + 16);
    const bool is_frame = begins_with(head.data(), frame_magic) &&
                          batch_bytes >= storage::batch_header_bytes &&
                          batch_bytes <= storage::batch_bytes_max && partition >= 0 &&
                          topic_bytes > 0 && topic_bytes <= topic_bytes_max;
    if (!is_frame) refuse("here is no frame: it is damaged");
    frame.name.partition = partition;
    frame.name.topic.resize(topic_bytes);
    read(std::as_writable_bytes(std::span{frame.name.topic}));
    if (!storage::is_topic_name(frame.name.topic)) refuse("its topic is damaged");
    frame.bytes.resize(batch_bytes);
    read(frame.bytes);
    auto crc = storage::crc32c(Bytes{head}.subspan(crc_from));
    crc = storage::crc32c_extend(crc, as_bytes(frame.name.topic));
    crc = storage::crc32c_extend(crc, frame.bytes);
    if (crc != load_little<std::uint32_t>(head.data() + magic_bytes)) {
        refuse("the frame's CRC is wrong: it is damaged");
    }
    const auto batch = storage::check_batch(frame.bytes);
    if (!batch) refuse("its batch is rotten: " + batch.error().message());
    if (batch->total_bytes != batch_bytes) refuse("its batch is shorter than the frame");
    frame.batch = *batch;
    records_ += static_cast<std::uint64_t>(batch->record_count);
    return true;
}

void ArchiveFile::check_end(const std::byte* frame) {
    const auto crc = storage::crc32c({frame + crc_from, frame_bytes - crc_from});
    if (crc != load_little<std::uint32_t>(frame + magic_bytes)) refuse("its end is damaged");
    const auto records = load_little<std::uint64_t>(frame + crc_from);
    if (records != records_) {
        refuse(fmt::format("its end says {} records, there are {}", records, records_));
    }
    if (at_ != size_) refuse("something follows its end");
}

}  // namespace milepost::tool
