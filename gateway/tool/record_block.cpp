#include "gateway/tool/record_block.hpp"

#include <span>
#include <utility>

namespace milepost::tool {

namespace {

constexpr std::size_t block_records = 2048;
constexpr std::size_t block_headers = std::size_t{4} * block_records;

std::size_t bytes_of(const ReplayRecord& record) {
    std::size_t bytes = (record.key ? record.key->size() : 0) +
                        (record.value ? record.value->size() : 0);
    for (const auto& header : record.headers)
        bytes += header.name.size() + header.value.size();
    return bytes;
}

}  // namespace

void RecordBlock::clear() {
    entries_.clear();
    bytes_.clear();
    headers_.clear();
    entries_.reserve(block_records);
    bytes_.reserve(record_block_bytes);
    headers_.reserve(block_headers);
    failed = nullptr;
    is_last = false;
    end.clear();
}

bool RecordBlock::add(const ReplayRecord& record, std::string_view topic, std::size_t position) {
    const auto bytes = bytes_of(record);
    const bool has_room = entries_.size() < block_records &&
                          bytes <= bytes_.capacity() - bytes_.size() &&
                          record.headers.size() <= headers_.capacity() - headers_.size();
    if (!has_room) {
        if (!entries_.empty()) return false;
        bytes_.reserve(bytes);
        headers_.reserve(record.headers.size());
    }
    auto& added = entries_.emplace_back(Entry{record, position}).record;
    added.topic = topic;
    if (record.key) added.key = copy(*record.key);
    if (record.value) added.value = copy(*record.value);
    const auto first = headers_.size();
    for (const auto& header : record.headers) {
        const auto name = copy(as_bytes(header.name));
        headers_.push_back({.name = as_text(name), .value = copy(header.value)});
    }
    added.headers = std::span{headers_}.subspan(first);
    return true;
}

Bytes RecordBlock::copy(Bytes from) {
    const auto at = bytes_.size();
    bytes_.insert(bytes_.end(), from.begin(), from.end());
    return Bytes{bytes_}.subspan(at);
}

std::shared_ptr<RecordBlock> RecordBlocks::take(const std::shared_ptr<RecordBlocks>& from) {
    std::unique_ptr<RecordBlock> block;
    {
        const std::lock_guard lock{from->mutex_};
        if (!from->free_.empty()) {
            block = std::move(from->free_.back());
            from->free_.pop_back();
        }
    }
    if (block) {
        block->clear();
    } else {
        block = std::make_unique<RecordBlock>();
    }
    return {block.release(), [from](RecordBlock* last) {
                from->give_back(std::unique_ptr<RecordBlock>{last});
            }};
}

void RecordBlocks::give_back(std::unique_ptr<RecordBlock> block) {
    if (block->is_large()) return;
    const std::lock_guard lock{mutex_};
    free_.push_back(std::move(block));
}

}  // namespace milepost::tool
