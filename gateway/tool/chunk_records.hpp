#pragma once

#include "gateway/tool/failure.hpp"
#include "storage/base/bytes.hpp"
#include "storage/format/offsets.hpp"
#include "storage/format/record_batch.hpp"

#include <fmt/core.h>

namespace milepost::tool {

// Calls `take(record)` for each record of whole batches at or behind `from`, until it returns
// false. Rot is a Failure: who gave the batches has checked them.
template <class Take>
void for_each_record(Bytes batches, storage::Offset from, Buffer& scratch, Take take) {
    while (!batches.empty()) {
        const auto header = storage::check_batch(batches);
        if (!header) {
            throw Failure{exit_run_time, "a batch is rotten: " + header.error().message()};
        }
        auto cursor =
            storage::RecordCursor::open(batches.first(header->total_bytes), *header, scratch);
        if (!cursor) {
            throw Failure{exit_run_time, "a batch cannot be read: " + cursor.error().message()};
        }
        while (true) {
            const auto record = cursor->next();
            if (!record) {
                throw Failure{exit_run_time, "a record is rotten: " + record.error().message()};
            }
            if (!*record) break;
            if ((*record)->offset >= from && !take(**record)) return;
        }
        batches = batches.subspan(header->total_bytes);
    }
}

}  // namespace milepost::tool
