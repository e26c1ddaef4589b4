#include "gateway/tool/publish_journal.hpp"

#include "gateway/tool/append_file.hpp"
#include "gateway/tool/failure.hpp"
#include "storage/base/bytes.hpp"
#include "storage/format/crc32c.hpp"
#include "storage/fs/posix_file_system.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace milepost::tool {

namespace {

constexpr std::string_view first_word = "milepost-publishes 1 ";
// More than the longest line, and one page: a write of it is there as a whole or not at all, when
// this program is killed.
constexpr std::size_t line_bytes_max = 512;

std::string line_of(const std::string& job, const PublishProgress& progress) {
    auto line = fmt::format(
        "{}{} {:020} {:020} {:020} {:020} {:020} ",
        first_word,
        job,
        progress.completed,
        progress.received,
        progress.handed,
        progress.refused,
        progress.again
    );
    line += fmt::format("{:08x}\n", storage::crc32c(as_bytes(line)));
    return line;
}

// The five numbers; false: there are none.
bool parse(std::string_view text, PublishProgress& into) {
    const std::array numbers =
        {&into.completed, &into.received, &into.handed, &into.refused, &into.again};
    for (auto* number : numbers) {
        const auto* end_of_text = text.data() + text.size();
        const auto [end, failed] = std::from_chars(text.data(), end_of_text, *number);
        if (failed != std::errc{} || end == end_of_text || *end != ' ') return false;
        text.remove_prefix(static_cast<std::size_t>(end - text.data()) + 1);
    }
    return into.completed <= into.received && into.received <= into.handed &&
           into.refused <= into.received && into.handed - into.completed <= publishes_in_flight_max;
}

[[noreturn]] void refuse(const std::filesystem::path& path, std::string_view what) {
    throw Failure{exit_run_time, fmt::format("{}: {}", path.string(), what)};
}

}  // namespace

PublishJournal::PublishJournal() = default;
PublishJournal::PublishJournal(PublishJournal&&) noexcept = default;
PublishJournal& PublishJournal::operator=(PublishJournal&&) noexcept = default;
PublishJournal::~PublishJournal() = default;

PublishJournal::PublishJournal(
    std::filesystem::path file,
    std::string job,
    bool is_resumed,
    std::uint64_t count
)
    : path_(std::move(file))
    , job_(std::move(job)) {
    storage::PosixFileSystem files;
    std::error_code ignored;
    const bool is_there = std::filesystem::exists(path_, ignored);
    if (is_resumed && !is_there && count > 0) {
        refuse(path_, "is gone, so nobody knows which publishes are on their way");
    }
    auto locked = files.lock(path_);
    if (!locked) {
        const bool is_used = locked.error() == boost::system::errc::operation_would_block;
        if (is_used) refuse(path_, "is in use: this replay is running already");
        must(locked.error(), path_);
    }
    lock_ = std::move(*locked);
    auto opened = files.open(path_, storage::OpenMode::create);
    if (!opened) must(opened.error(), path_);
    file_ = std::move(*opened);
    if (is_resumed && is_there) {
        load(count);
        return;
    }
    progress_ = {.completed = count, .received = count, .handed = count};
    must(file_->truncate(0), path_);
    write_line();
    sync();
    const auto folder = path_.has_parent_path() ? path_.parent_path() : ".";
    must(files.sync_directory(folder), folder);
}

void PublishJournal::load(std::uint64_t count) {
    Buffer bytes(line_bytes_max);
    const auto size = file_->size();
    if (!size) must(size.error(), path_);
    bytes.resize(static_cast<std::size_t>(std::min<std::uint64_t>(*size, line_bytes_max)));
    const auto read = file_->read_at(storage::FilePosition{0}, bytes);
    if (!read) must(read.error(), path_);
    auto line = as_text(bytes);
    const auto head = fmt::format("{}{} ", first_word, job_);
    if (!line.starts_with(first_word)) refuse(path_, "is no journal of a replay's publishes");
    if (!line.starts_with(head)) refuse(path_, "is of another replay");
    PublishProgress found;
    const auto end = line.find('\n');
    const bool is_sound = end != line.npos && parse(line.substr(head.size()), found) &&
                          line_of(job_, found) == line.substr(0, end + 1);
    if (!is_sound) refuse(path_, "is damaged");
    // After a power cut the state may be newer.
    found.completed = std::max(found.completed, count);
    found.received = std::max(found.received, found.completed);
    found.handed = std::max(found.handed, found.received);
    progress_ = found;
}

void PublishJournal::write(const PublishProgress& progress) {
    if (progress == progress_) return;
    progress_ = progress;
    if (file_) write_line();
}

void PublishJournal::write_line() {
    must(file_->write_at(storage::FilePosition{0}, as_bytes(line_of(job_, progress_))), path_);
}

void PublishJournal::sync() {
    if (file_) must(file_->sync(), path_);
}

void PublishJournal::remove() {
    if (!file_) return;
    file_.reset();
    lock_.reset();
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
}

}  // namespace milepost::tool
