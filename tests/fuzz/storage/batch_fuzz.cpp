// A batch from anywhere: no bytes may crash its decoder, and what it gives keeps its promises.
#include "storage/base/check.hpp"
#include "storage/format/crc32c.hpp"
#include "storage/format/record_batch.hpp"

#include <cstddef>
#include <cstdint>

using namespace milepost;
using namespace milepost::storage;

namespace {

void walk(Bytes batch) {
    const auto header = check_batch(batch);
    if (!header) return;
    Buffer scratch;
    auto cursor = RecordCursor::open(batch, *header, scratch);
    if (!cursor) return;
    std::int32_t count = 0;
    for (;;) {
        const auto record = cursor->next();
        if (!record) return;
        if (!record->has_value()) break;
        MILEPOST_CHECK((*record)->offset <= header->last_offset());
        HeaderCursor headers{**record};
        for (std::uint32_t i = 0; i < (*record)->header_count; ++i) {
            MILEPOST_CHECK(headers.next().has_value());
        }
        MILEPOST_CHECK(!headers.next().has_value());
        ++count;
    }
    MILEPOST_CHECK(count == (header->is_control ? 0 : header->record_count));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Bytes input = std::as_bytes(std::span{data, size});
    walk(input);
    // Behind the CRC, where only a hostile writer gets.
    if (size < batch_header_bytes || size > batch_bytes_max) return 0;
    Buffer sealed{input.begin(), input.end()};
    store_big(
        sealed.data() + batch_layout::batch_length,
        static_cast<std::int32_t>(size - batch_prefix_bytes)
    );
    store_big(sealed.data() + batch_layout::magic, batch_magic);
    const Bytes covered = Bytes{sealed}.subspan(batch_layout::attributes);
    store_big(sealed.data() + batch_layout::crc, crc32c(covered));
    walk(sealed);
    return 0;
}
