#include "tests/support/log_parts.hpp"

#include "storage/format/record_batch.hpp"

#include <stdexcept>

namespace milepost::test {

using namespace storage;

ReadBack read_back(Log& log, PartitionId partition, Offset from, std::size_t bytes_max) {
    ReadBack all;
    Buffer buffer;
    Buffer scratch;
    const Offset durable = log.positions(partition).durable;
    while (from < durable) {
        const auto read = log.read(partition, from, bytes_max, buffer);
        if (!read) throw std::runtime_error{"read: " + read.error().message()};
        for (Bytes rest = read->batches; !rest.empty();) {
            const auto header = check_batch(rest);
            if (!header) throw std::runtime_error{"batch: " + header.error().message()};
            auto cursor = RecordCursor::open(rest, *header, scratch);
            if (!cursor) throw std::runtime_error{"cursor: " + cursor.error().message()};
            while (true) {
                const auto stored = cursor->next();
                if (!stored) throw std::runtime_error{"record: " + stored.error().message()};
                if (!stored->has_value()) break;
                if ((*stored)->offset < from) continue;
                all.values.emplace_back(as_text((*stored)->value.value()));
                all.offsets.push_back((*stored)->offset.value());
            }
            rest = rest.subspan(header->total_bytes);
        }
        if (read->next <= from) throw std::runtime_error{"read does not move on"};
        from = read->next;
    }
    return all;
}

}  // namespace milepost::test
