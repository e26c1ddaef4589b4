#pragma once

#include "gateway/tool/record_stream.hpp"
#include "gateway/tool/replay_record.hpp"
#include "storage/base/bytes.hpp"
#include "storage/base/units.hpp"

#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

namespace milepost::tool {

// Of keys, values and headers; a larger record has a block for itself.
inline constexpr std::size_t record_block_bytes = 256 * kib;

// Records and what they are views of. Nothing moves while there is one.
class RecordBlock {
public:
    struct Entry {
        ReplayRecord record;
        std::size_t position = 0;  // which of the stream's
    };

    RecordBlock() { clear(); }

    void clear();
    // Copies all but the topic's name. False: it has no room for this one, which the next has.
    bool add(const ReplayRecord& record, std::string_view topic, std::size_t position);

    [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }

    // It took a record larger than blocks are, and its memory with it.
    [[nodiscard]] bool is_large() const { return bytes_.capacity() > record_block_bytes; }

    std::exception_ptr failed{};  // behind its last record
    bool is_last = false;         // and there the stream ends
    std::vector<StreamPosition> end{};

private:
    Bytes copy(Bytes from);

    std::vector<Entry> entries_;
    Buffer bytes_;
    std::vector<storage::HeaderView> headers_;
};

// Gives out blocks to be filled, which come back when nobody has them any more, on any thread.
class RecordBlocks {
public:
    [[nodiscard]] static std::shared_ptr<RecordBlock> take(const std::shared_ptr<RecordBlocks>& from
    );

private:
    void give_back(std::unique_ptr<RecordBlock> block);

    std::mutex mutex_;
    std::vector<std::unique_ptr<RecordBlock>> free_;
};

}  // namespace milepost::tool
