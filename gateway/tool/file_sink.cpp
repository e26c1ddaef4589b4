#include "gateway/tool/append_file.hpp"
#include "gateway/tool/commands.hpp"
#include "gateway/tool/export_format.hpp"
#include "gateway/tool/replay_sink.hpp"
#include "gateway/tool/write_behind.hpp"
#include "storage/base/units.hpp"
#include "storage/fs/posix_file_system.hpp"

#include <optional>
#include <thread>

namespace milepost::tool {

namespace {

class TextSink : public ReplaySink {
public:
    TextSink(FileFormat format, bool is_begun)
        : format_(format) {
        if (!is_begun && format == FileFormat::csv) text_ = csv_head;
    }

    void put(const ReplayRecord& record) override {
        if (format_ == FileFormat::csv) {
            append_csv(record, text_);
        } else {
            append_ndjson(record, text_);
        }
        if (text_.size() >= write_buffer_bytes) flush();
    }

    void wait_until(Instant due) override {
        flush();
        std::this_thread::sleep_until(due);
    }

protected:
    void flush() {
        if (text_.empty()) return;
        write(text_);
    }

    // Leaves `text` empty.
    virtual void write(std::string& text) = 0;

private:
    FileFormat format_;
    std::string text_;
};

class StdoutSink final : public TextSink {
public:
    explicit StdoutSink(FileFormat format)
        : TextSink(format, false) {}

    [[nodiscard]] std::uint64_t taken_before() const override { return 0; }

    std::uint64_t settle() override {
        flush();
        return 0;
    }

protected:
    void write(std::string& text) override {
        print_out(text);
        text.clear();
    }
};

class FileSink final : public TextSink {
public:
    FileSink(
        std::filesystem::path path,
        FileFormat format,
        bool is_resumed,
        std::uint64_t bytes,
        std::uint64_t count
    )
        : TextSink(format, bytes > 0)
        , path_(std::move(path))
        , count_(count) {
        file_ = open_to_append(files_, path_, is_resumed, bytes);
        writer_.emplace(*file_, bytes);
    }

    [[nodiscard]] std::uint64_t taken_before() const override { return count_; }

    std::uint64_t settle() override {
        flush();
        must(writer_->sync(), path_);
        return writer_->end();
    }

protected:
    void write(std::string& text) override { must(writer_->append(text), path_); }

private:
    storage::PosixFileSystem files_;
    std::filesystem::path path_;
    std::unique_ptr<storage::File> file_;
    std::optional<WriteBehind> writer_;
    std::uint64_t count_;
};

}  // namespace

std::unique_ptr<ReplaySink> open_file_sink(
    const std::filesystem::path& file,
    FileFormat format,
    bool is_resumed,
    std::uint64_t bytes,
    std::uint64_t count
) {
    return std::make_unique<FileSink>(file, format, is_resumed, bytes, count);
}

std::unique_ptr<ReplaySink> open_stdout_sink(FileFormat format) {
    return std::make_unique<StdoutSink>(format);
}

}  // namespace milepost::tool
