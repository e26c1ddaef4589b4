#include "storage/journal/slot.hpp"

#include "storage/journal/errc.hpp"

#include <limits>
#include <optional>

namespace milepost::storage {
namespace {

constexpr std::size_t crc_at = 4;
constexpr std::size_t crc_from = 8;
constexpr std::size_t bytes_at = 12;
constexpr std::size_t partition_bytes_min = 2 + 4 + 4 * 8;

std::optional<CheckpointPartition> decode_partition(ByteReader& reader) {
    const auto topic_bytes = reader.little<std::uint16_t>();
    if (!topic_bytes) return std::nullopt;
    const auto topic = reader.bytes(*topic_bytes);
    if (!topic) return std::nullopt;
    const auto number = reader.little<std::int32_t>();
    const auto start = reader.little<std::int64_t>();
    const auto next = reader.little<std::int64_t>();
    const auto active_base = reader.little<std::int64_t>();
    const auto active_bytes = reader.little<std::uint64_t>();
    if (!number || !start || !next || !active_base || !active_bytes) return std::nullopt;
    return CheckpointPartition{
        .name = {std::string{as_text(*topic)}, *number},
        .start = Offset{*start},
        .next = Offset{*next},
        .active_base = Offset{*active_base},
        .active_bytes = *active_bytes,
    };
}

void append_partition(Buffer& out, const CheckpointPartition& partition) {
    append_little(out, static_cast<std::uint16_t>(partition.name.topic.size()));
    append_bytes(out, as_bytes(partition.name.topic));
    append_little(out, partition.name.partition);
    append_little(out, partition.start.value());
    append_little(out, partition.next.value());
    append_little(out, partition.active_base.value());
    append_little(out, partition.active_bytes);
}

}  // namespace

Result<Buffer> encode_slot(const Slot& slot, const JournalKey& key) {
    const Checkpoint& checkpoint = slot.checkpoint;
    Buffer out;
    out.reserve(block_bytes);
    append_little(out, slot_magic);
    append_little(out, std::uint32_t{0});
    append_little(out, journal_version);
    append_little(out, std::uint16_t{0});
    append_little(out, std::uint32_t{0});
    append_little(out, slot.sequence);
    append_little(out, checkpoint.first_needed_sequence);
    append_little(out, checkpoint.first_needed_position.value());
    append_little(out, checkpoint.next_sequence);
    append_little(out, checkpoint.wall.value());
    append_little(out, checkpoint.monotonic_ms);
    append_little(out, slot.generation);
    append_little(out, static_cast<std::uint32_t>(checkpoint.partitions.size()));
    for (const CheckpointPartition& partition : checkpoint.partitions) {
        if (partition.name.topic.size() > std::numeric_limits<std::uint16_t>::max()) {
            return make_error_code(JournalErrc::malformed);
        }
        append_partition(out, partition);
        if (out.size() > slot_area_bytes) return make_error_code(JournalErrc::slot_too_large);
    }
    store_little(out.data() + bytes_at, static_cast<std::uint32_t>(out.size()));
    store_little(out.data() + crc_at, key.crc(Bytes{out}.subspan(crc_from)));
    out.resize(whole_blocks(out.size()));
    return out;
}

Result<Slot> decode_slot(Bytes area, const JournalKey& key) {
    const ErrorCode torn = make_error_code(JournalErrc::torn);
    ByteReader all{area};
    const auto magic = all.little<std::uint32_t>();
    const auto crc = all.little<std::uint32_t>();
    const auto version = all.little<std::uint16_t>();
    const auto reserved = all.little<std::uint16_t>();
    const auto bytes = all.little<std::uint32_t>();
    if (!magic || !crc || !version || !reserved || !bytes || *magic != slot_magic) return torn;
    if (*bytes < slot_header_bytes || *bytes > area.size()) return torn;
    if (key.crc(area.subspan(crc_from, *bytes - crc_from)) != *crc) return torn;
    if (*version > journal_version) return make_error_code(JournalErrc::newer_version);

    ByteReader reader{area.subspan(bytes_at + 4, *bytes - bytes_at - 4)};
    Slot slot;
    Checkpoint& checkpoint = slot.checkpoint;
    // The fixed part is there: `bytes` is at least the header's.
    slot.sequence = reader.little<std::uint64_t>().value_or(0);
    checkpoint.first_needed_sequence = reader.little<std::uint64_t>().value_or(0);
    checkpoint.first_needed_position = FilePosition{reader.little<std::uint64_t>().value_or(0)};
    checkpoint.next_sequence = reader.little<std::uint64_t>().value_or(0);
    checkpoint.wall = Timestamp{reader.little<std::int64_t>().value_or(0)};
    checkpoint.monotonic_ms = reader.little<std::int64_t>().value_or(0);
    slot.generation = reader.little<std::uint32_t>().value_or(0);
    const std::uint32_t count = reader.little<std::uint32_t>().value_or(0);
    if (count > reader.remaining() / partition_bytes_min) {
        return make_error_code(JournalErrc::malformed);
    }
    checkpoint.partitions.reserve(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        auto partition = decode_partition(reader);
        if (!partition) return make_error_code(JournalErrc::malformed);
        checkpoint.partitions.push_back(std::move(*partition));
    }
    if (reader.remaining() != 0) return make_error_code(JournalErrc::malformed);
    return slot;
}

}  // namespace milepost::storage
