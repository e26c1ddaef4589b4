// Records behind a header that is right: the first byte says how many there are. What is accepted
// is written again, and then reads the same.
#include "storage/base/check.hpp"
#include "storage/format/batch_builder.hpp"
#include "storage/format/crc32c.hpp"
#include "storage/format/record_batch.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

using namespace milepost;
using namespace milepost::storage;

namespace {

std::optional<std::vector<StoredRecord>> read(Bytes batch, Buffer& scratch) {
    const auto header = check_batch(batch);
    MILEPOST_CHECK(header.has_value());
    auto cursor = RecordCursor::open(batch, *header, scratch);
    if (!cursor) return std::nullopt;
    std::vector<StoredRecord> records;
    for (;;) {
        const auto record = cursor->next();
        if (!record) return std::nullopt;
        if (!record->has_value()) return records;
        records.push_back(**record);
    }
}

Buffer batch_of(Bytes records, std::int32_t count) {
    Buffer batch(batch_header_bytes);
    append_bytes(batch, records);
    auto* to = batch.data();
    store_big(
        to + batch_layout::batch_length,
        static_cast<std::int32_t>(batch.size() - batch_prefix_bytes)
    );
    store_big(to + batch_layout::magic, batch_magic);
    store_big(to + batch_layout::last_offset_delta, std::int32_t{1000});
    store_big(to + batch_layout::record_count, count);
    const Bytes covered = Bytes{batch}.subspan(batch_layout::attributes);
    store_big(to + batch_layout::crc, crc32c(covered));
    return batch;
}

bool same(const std::optional<Bytes>& left, const std::optional<Bytes>& right) {
    if (left.has_value() != right.has_value()) return false;
    return !left || same_bytes(*left, *right);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const Bytes input = std::as_bytes(std::span{data, size});
    const Buffer batch = batch_of(input.subspan(1), std::to_integer<std::int32_t>(input.front()));
    Buffer scratch;
    const auto records = read(batch, scratch);
    if (!records || records->empty()) return 0;
    BatchBuilder builder;
    builder.start(Offset{0});
    for (const StoredRecord& record : *records) {
        builder.add(record);
    }
    Buffer again;
    MILEPOST_CHECK(builder.finish(Codec::none, again).has_value());
    Buffer scratch_again;
    const auto copies = read(again, scratch_again);
    MILEPOST_CHECK(copies.has_value());
    MILEPOST_CHECK(copies->size() == records->size());
    for (std::size_t i = 0; i < records->size(); ++i) {
        MILEPOST_CHECK((*copies)[i].timestamp == (*records)[i].timestamp);
        MILEPOST_CHECK(same((*copies)[i].key, (*records)[i].key));
        MILEPOST_CHECK(same((*copies)[i].value, (*records)[i].value));
        MILEPOST_CHECK(same_bytes((*copies)[i].raw_headers, (*records)[i].raw_headers));
    }
    return 0;
}
