#include "gateway/tool/export_format.hpp"
#include "gateway/tool/failure.hpp"
#include "gateway/tool/record_stream.hpp"
#include "storage/base/units.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

namespace milepost::tool {

namespace {

constexpr std::size_t read_piece_bytes = 256 * kib;
constexpr storage::Offset no_end{INT64_MAX};

struct CloseFile {
    void operator()(std::FILE* file) const {
        if (file != stdin) std::fclose(file);
    }
};

class FileStream final : public RecordStream {
public:
    FileStream(
        const std::string& file,
        const Selection& selection,
        const std::vector<StreamPosition>& resume
    )
        : name_(file == "-" ? "stdin" : file)
        , selection_(selection)
        , file_(file == "-" ? stdin : std::fopen(file.c_str(), "rbe")) {
        if (!file_) refuse_io();
        if (file != "-") size();
        if (resume.empty()) return;
        if (resume.size() != 2) throw Failure{exit_run_time, "the state is of another source"};
        bytes_ = resume[0].next.value();
        line_ = resume[1].next.value();
        pass();
        if (::fseeko(file_.get(), bytes_, SEEK_SET) != 0) refuse_io();
    }

    const ReplayRecord* next() override {
        std::string_view line;
        while (take_line(line)) {
            if (line.find_first_not_of(" \t\r") == line.npos) continue;
            std::string problem;
            const auto* record = parser_.parse(line, problem);
            if (record == nullptr) refuse(problem + (is_torn_ ? " (the last line is torn)" : ""));
            if (selection_.wants(*record)) return record;
        }
        return nullptr;
    }

    void pass() override {
        passed_bytes_ = storage::Offset{bytes_};
        passed_line_ = storage::Offset{line_};
    }

    [[nodiscard]] std::vector<StreamPosition> positions() const override {
        return {
            {.name = {"", 0}, .next = passed_bytes_, .end = no_end},
            {.name = {"", 1}, .next = passed_line_, .end = no_end}};
    }

    [[nodiscard]] StreamProgress progress() const override {
        return {.done = static_cast<std::uint64_t>(bytes_), .all = size_};
    }

private:
    [[noreturn]] void refuse(std::string_view what) const {
        throw Failure{exit_run_time, fmt::format("{}:{}: {}", name_, line_, what)};
    }

    [[noreturn]] void refuse_io() const {
        throw Failure{exit_disk, name_ + ": " + std::generic_category().message(errno)};
    }

    void size() {
        if (::fseeko(file_.get(), 0, SEEK_END) != 0) return;  // a pipe
        size_ = static_cast<std::uint64_t>(std::max<off_t>(0, ::ftello(file_.get())));
        if (::fseeko(file_.get(), 0, SEEK_SET) != 0) refuse_io();
    }

    // Without its end; valid until the next call.
    bool take_line(std::string_view& line) {
        std::size_t looked_at = 0;
        while (true) {
            const auto rest = std::string_view{text_}.substr(at_);
            const auto end = rest.find('\n', looked_at);
            if (end != rest.npos || (is_at_end_ && !rest.empty())) {
                is_torn_ = end == rest.npos;
                ++line_;
                line = rest.substr(0, end);
                // Also where the whole of it came at once.
                if (line.size() > ndjson_line_bytes_max) refuse_long();
                const auto taken = line.size() + (is_torn_ ? 0 : 1);
                at_ += taken;
                bytes_ += static_cast<std::int64_t>(taken);
                return true;
            }
            if (is_at_end_) return false;
            if (rest.size() > ndjson_line_bytes_max) {
                ++line_;
                refuse_long();
            }
            looked_at = rest.size();
            fill();
        }
    }

    [[noreturn]] void refuse_long() const {
        refuse(fmt::format("is longer than {} bytes", ndjson_line_bytes_max));
    }

    void fill() {
        text_.erase(0, at_);
        at_ = 0;
        const auto before = text_.size();
        text_.resize(before + read_piece_bytes);
        const auto count = std::fread(text_.data() + before, 1, read_piece_bytes, file_.get());
        text_.resize(before + count);
        if (count == read_piece_bytes) return;
        if (std::ferror(file_.get()) != 0) refuse_io();
        is_at_end_ = true;
    }

    std::string name_;
    const Selection& selection_;
    std::unique_ptr<std::FILE, CloseFile> file_;
    std::uint64_t size_ = 0;
    std::string text_;
    std::size_t at_ = 0;
    bool is_at_end_ = false;
    bool is_torn_ = false;
    std::int64_t bytes_ = 0;  // behind the last line
    std::int64_t line_ = 0;
    storage::Offset passed_bytes_;
    storage::Offset passed_line_;
    NdjsonParser parser_;
};

}  // namespace

std::unique_ptr<RecordStream> open_file_stream(
    const std::string& file,
    const Selection& selection,
    const std::vector<StreamPosition>& resume
) {
    return std::make_unique<FileStream>(file, selection, resume);
}

}  // namespace milepost::tool
