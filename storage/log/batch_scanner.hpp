#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"
#include "storage/format/offsets.hpp"
#include "storage/format/record_batch.hpp"
#include "storage/fs/file_system.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace milepost::storage {

// A whole batch with the right CRC, and where it lies.
struct ScannedBatch {
    FilePosition position;
    BatchHeader header;
    Bytes bytes;  // valid until the next call of the scanner
};

// Walks the batches of a `.log` from one position to another, checking each, without any index, in
// large reads. Offsets must rise; one that is skipped is a hole, for the caller to judge.
// Thread: one at a time. Lifetime: `file` outlives it.
class BatchScanner {
public:
    struct Range {
        FilePosition from;
        FilePosition end;
    };

    // `expected`: no batch begins below it.
    BatchScanner(File& file, Range range, Offset expected);

    // The batch at position(), and moves behind it; nullopt at the end. A FormatErrc says what is
    // wrong with the bytes at position(), where the scanner stays: short_read if the batch would
    // end behind the end (a torn tail, if resync() finds nothing), else rot. Other errors are the
    // disk's.
    Result<std::optional<ScannedBatch>> next();

    enum class Resync : std::uint8_t { found, at_end };

    // After rot: moves to the next place where a whole, right batch begins, or to the end if there
    // is none.
    Result<Resync> resync();

    [[nodiscard]] FilePosition position() const { return position_; }

    // The offset that follows the last good batch.
    [[nodiscard]] Offset expected() const { return expected_; }

private:
    Result<Bytes> look(FilePosition at, std::size_t count);
    Result<std::optional<BatchHeader>> good_batch_at(FilePosition at);
    Result<std::optional<FilePosition>> search(FilePosition from);
    Result<std::optional<BatchHeader>> peek_at(FilePosition at);

    File& file_;
    FilePosition position_;
    FilePosition end_;
    Offset expected_;
    Buffer buffer_;
    FilePosition buffer_at_;
    std::size_t buffer_used_ = 0;
};

}  // namespace milepost::storage
