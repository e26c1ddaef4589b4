// Note: no input may make this crash, read outside of it, or take long.
#include "storage/base/check.hpp"
#include "storage/journal/ring_header.hpp"
#include "storage/journal/slot.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

using namespace milepost;
using namespace milepost::storage;

namespace {

const JournalKey key{1, 2};

void seal(Buffer& bytes) {
    if (bytes.size() < slot_header_bytes || bytes.size() > slot_area_bytes) return;
    store_little(bytes.data(), slot_magic);
    store_little(bytes.data() + 8, journal_version);
    store_little(bytes.data() + 12, static_cast<std::uint32_t>(bytes.size()));
    store_little(bytes.data() + 4, key.crc(Bytes{bytes}.subspan(8)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Bytes input = std::as_bytes(std::span{data, size});
    static_cast<void>(decode_slot(input, key));
    static_cast<void>(decode_ring_header(input));
    Buffer sealed{input.begin(), input.end()};
    seal(sealed);
    const auto slot = decode_slot(sealed, key);
    if (!slot) return 0;
    // What was understood is written the same.
    const auto again = encode_slot(*slot, key);
    MILEPOST_CHECK(again.has_value());
    const auto twice = decode_slot(*again, key);
    MILEPOST_CHECK(twice.has_value() && twice->checkpoint == slot->checkpoint);
    return 0;
}
