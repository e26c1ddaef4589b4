#include "storage/format/batch_builder.hpp"

#include "storage/base/check.hpp"
#include "storage/format/crc32c.hpp"
#include "storage/format/varint.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

namespace milepost::storage {

namespace {

constexpr std::size_t first_room_bytes = 4096;
constexpr std::int64_t no_producer = -1;

std::byte* copy(std::byte* to, Bytes from) {
    // memcpy from nullptr is undefined even for no bytes; an empty view may have one.
    if (!from.empty()) std::memcpy(to, from.data(), from.size());
    return to + from.size();
}

std::int32_t length_of(Bytes bytes) {
    return static_cast<std::int32_t>(bytes.size());
}

std::size_t nullable_bytes(const std::optional<Bytes>& bytes) {
    return bytes ? varint_bytes(length_of(*bytes)) + bytes->size() : 1;
}

std::byte* write_nullable(std::byte* to, const std::optional<Bytes>& bytes) {
    if (!bytes) return write_varint(to, -1);
    return copy(write_varint(to, length_of(*bytes)), *bytes);
}

}  // namespace

std::size_t record_bytes_max(const RecordView& record) {
    std::size_t bytes = varint_bytes_max + 1 + varlong_bytes_max + varint_bytes_max;
    bytes += varint_bytes_max + record.key.size() + varint_bytes_max + record.value.size();
    bytes += varint_bytes_max;
    for (const HeaderView& header : record.headers) {
        bytes += 2 * varint_bytes_max + header.name.size() + header.value.size();
    }
    return bytes;
}

void BatchBuilder::start(Offset base) {
    base_ = base;
    count_ = 0;
    delta_ = 0;
    used_ = batch_header_bytes;
    if (bytes_.size() < first_room_bytes) bytes_.resize(first_room_bytes);
}

Offset BatchBuilder::add(const RecordView& record) {
    std::size_t header_bytes = varint_bytes(static_cast<std::int32_t>(record.headers.size()));
    for (const HeaderView& header : record.headers) {
        const Bytes name = as_bytes(header.name);
        header_bytes += varint_bytes(length_of(name)) + name.size();
        header_bytes += varint_bytes(length_of(header.value)) + header.value.size();
    }
    auto* to = begin_record({record.timestamp, record.key, record.value, header_bytes});
    to = write_varint(to, static_cast<std::int32_t>(record.headers.size()));
    for (const HeaderView& header : record.headers) {
        const Bytes name = as_bytes(header.name);
        to = copy(write_varint(to, length_of(name)), name);
        to = copy(write_varint(to, length_of(header.value)), header.value);
    }
    return end_record(to, record.timestamp);
}

Offset BatchBuilder::add(const StoredRecord& record) {
    const auto header_count = static_cast<std::int32_t>(record.header_count);
    auto* to = begin_record(
        {record.timestamp,
         record.key,
         record.value,
         varint_bytes(header_count) + record.raw_headers.size()}
    );
    to = copy(write_varint(to, header_count), record.raw_headers);
    return end_record(to, record.timestamp);
}

std::byte* BatchBuilder::begin_record(const Parts& parts) {
    if (count_ == 0) first_timestamp_ = parts.timestamp;
    const std::int64_t timestamp_delta = parts.timestamp - first_timestamp_;
    const std::size_t body_bytes = 1 + varlong_bytes(timestamp_delta) + varint_bytes(delta_) +
                                   nullable_bytes(parts.key) + nullable_bytes(parts.value) +
                                   parts.header_bytes;
    // What a batch may hold at most is the caller's to keep; past this the format itself ends.
    MILEPOST_CHECK(body_bytes < std::numeric_limits<std::int32_t>::max() - used_);

    const std::size_t needed = used_ + varint_bytes_max + body_bytes;
    if (needed > bytes_.size()) bytes_.resize(std::max(needed, 2 * bytes_.size()));
    auto* to = bytes_.data() + used_;
    to = write_varint(to, static_cast<std::int32_t>(body_bytes));
    *to++ = std::byte{0};  // attributes: none are defined
    to = write_varlong(to, timestamp_delta);
    to = write_varint(to, delta_);
    to = write_nullable(to, parts.key);
    return write_nullable(to, parts.value);
}

Offset BatchBuilder::end_record(const std::byte* end, Timestamp timestamp) {
    used_ = static_cast<std::size_t>(end - bytes_.data());
    max_timestamp_ = count_ == 0 ? timestamp : std::max(max_timestamp_, timestamp);
    const Offset offset = base_ + delta_;
    ++count_;
    ++delta_;
    return offset;
}

void BatchBuilder::write_header(std::byte* to, std::size_t total_bytes, Codec codec) const {
    using namespace batch_layout;
    store_big(to + batch_layout::base_offset, base_.value());
    store_big(to + batch_length, static_cast<std::int32_t>(total_bytes - batch_prefix_bytes));
    store_big(to + leader_epoch, std::int32_t{0});
    store_big(to + magic, batch_magic);
    store_big(to + attributes, static_cast<std::int16_t>(codec));
    store_big(to + last_offset_delta, delta_ - 1);
    store_big(to + base_timestamp, first_timestamp_.value());
    store_big(to + batch_layout::max_timestamp, max_timestamp_.value());
    store_big(to + producer_id, no_producer);
    store_big(to + producer_epoch, static_cast<std::int16_t>(no_producer));
    store_big(to + base_sequence, static_cast<std::int32_t>(no_producer));
    store_big(to + record_count, count_);
    store_big(to + crc, crc32c(Bytes{to + attributes, total_bytes - attributes}));
}

Bytes BatchBuilder::finish_plain() {
    MILEPOST_CHECK(count_ > 0);
    write_header(bytes_.data(), used_, Codec::none);
    return Bytes{bytes_}.first(used_);
}

Result<void> BatchBuilder::finish(Codec codec, Buffer& to) {
    MILEPOST_CHECK(count_ > 0);
    const std::size_t start = to.size();
    if (codec != Codec::none) {
        to.resize(start + batch_header_bytes);
        const Bytes records = Bytes{bytes_}.first(used_).subspan(batch_header_bytes);
        if (auto compressed = compress(codec, records, to); !compressed) {
            to.resize(start);
            return compressed;
        }
        if (to.size() - start < used_) {
            write_header(to.data() + start, to.size() - start, codec);
            return {};
        }
        to.resize(start);
    }
    append_bytes(to, finish_plain());
    return {};
}

}  // namespace milepost::storage
