// A checkpoint slot, a ring's header or a ring's name from anywhere: no bytes may crash their
// decoders, and what is understood is written the same.
#include "storage/base/check.hpp"
#include "storage/format/crc32c.hpp"
#include "storage/journal/ring_header.hpp"
#include "storage/journal/slot.hpp"
#include "tests/support/forgetful_disk.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

using namespace milepost;
using namespace milepost::storage;

namespace {

const JournalKey key{1, 2};

void seal(Buffer& bytes) {
    if (bytes.size() < slot_header_bytes || bytes.size() > slot_area_bytes) return;
    store_little(bytes.data(), slot_magic);
    store_little(bytes.data() + 12, static_cast<std::uint32_t>(bytes.size()));
    store_little(bytes.data() + 4, key.crc(Bytes{bytes}.subspan(8)));
}

// Both copies of the header, of which the input may damage one.
void ring_header(Bytes input) {
    Buffer bytes(ring_header_copies * block_bytes);
    for (std::size_t copy = 0; copy < ring_header_copies; ++copy) {
        const std::size_t from = std::min(input.size(), copy * input.size() / 2);
        const Bytes part = input.subspan(from, std::min(input.size() - from, std::size_t{48}));
        std::byte* to = bytes.data() + copy * block_bytes;
        std::copy(part.begin(), part.end(), to);
        if (!part.empty() && part.front() == std::byte{'x'}) continue;
        store_little(to, ring_magic);
        store_little(to + 4, crc32c(Bytes{bytes}.subspan(copy * block_bytes + 8, block_bytes - 8)));
    }
    const auto header = decode_ring_header(bytes);
    if (!header) return;
    const auto again = decode_ring_header(encode_ring_header(*header));
    MILEPOST_CHECK(again.has_value() && *again == *header);
    static_cast<void>(decode_ring_header(Bytes{bytes}.first(block_bytes)));
}

// A folder with a file of that name.
void ring_name(Bytes input) {
    std::string name{as_text(input.first(std::min(input.size(), std::size_t{20})))};
    if (name.find('/') != std::string::npos || name.find('\0') != std::string::npos) return;
    if (name.empty() || name == "." || name == "..") return;
    milepost::test::ForgetfulDisk disk;
    MILEPOST_CHECK(disk.make_directory("journal").has_value());
    MILEPOST_CHECK(disk.open("journal/" + name, OpenMode::create).has_value());
    const auto found = ring_generations(disk, "journal");
    MILEPOST_CHECK(found.has_value());
    for (const std::uint32_t generation : *found) {
        MILEPOST_CHECK(ring_path("journal", generation).filename() == name);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Bytes input = std::as_bytes(std::span{data, size});
    static_cast<void>(decode_slot(input, key));
    static_cast<void>(decode_ring_header(input));
    ring_header(input);
    ring_name(input);
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
