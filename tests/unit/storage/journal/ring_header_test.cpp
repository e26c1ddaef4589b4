#include "storage/journal/ring_header.hpp"

#include "storage/format/crc32c.hpp"
#include "storage/journal/errc.hpp"
#include "tests/support/forgetful_disk.hpp"
#include "tests/support/matchers.hpp"
#include "tests/unit/storage/journal/what.hpp"

#include <catch2/catch.hpp>

using namespace milepost;
using namespace milepost::storage;
using milepost::test::what;

namespace {

const RingHeader header{
    .log_id = 0x0102030405060708,
    .ring_key = 9,
    .generation = 12,
    .ring_bytes = 64 * mib,
    .machine_id_hash = 10,
};

void reseal(Buffer& bytes) {
    for (std::size_t copy = 0; copy < 2; ++copy) {
        std::byte* block = bytes.data() + copy * block_bytes;
        const Bytes covered = Bytes{bytes}.subspan(copy * block_bytes + 8, block_bytes - 8);
        store_little(block + 4, crc32c(covered));
    }
}

}  // namespace

TEST_CASE("ring header: the areas lie where FORMAT.md says", "[ring_header]") {
    STATIC_REQUIRE(slots_begin == 8192);
    STATIC_REQUIRE(ring_begin == 270336);
    const Buffer bytes = encode_ring_header(header);
    CHECK(as_text(Bytes{bytes}.first(4)) == "MPRH");
    CHECK(load_little<std::uint32_t>(bytes.data() + 12) == 12);
    CHECK(load_little<std::uint64_t>(bytes.data() + 16) == header.log_id);
    CHECK(load_little<std::uint64_t>(bytes.data() + 32) == 64 * mib);
    CHECK(decode_ring_header(bytes).value() == header);
}

TEST_CASE("ring header: one flipped bit anywhere leaves the other copy", "[ring_header]") {
    Buffer bytes = encode_ring_header(header);
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        bytes[bit / 8] ^= std::byte{1} << (bit % 8);
        REQUIRE(decode_ring_header(bytes).value() == header);
        bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    }
    bytes[20] ^= std::byte{1};
    bytes[block_bytes + 20] ^= std::byte{1};
    CHECK(what(decode_ring_header(bytes).error()) == JournalErrc::header_damaged);
    CHECK(what(decode_ring_header({}).error()) == JournalErrc::header_damaged);
}

TEST_CASE("ring header: newer versions and absurd sizes are refused", "[ring_header]") {
    Buffer bytes = encode_ring_header(header);
    SECTION("version") {
        for (const std::size_t at : {std::size_t{8}, block_bytes + 8}) {
            store_little(bytes.data() + at, std::uint16_t{2});
        }
        reseal(bytes);
        CHECK(what(decode_ring_header(bytes).error()) == JournalErrc::newer_version);
    }
    SECTION("size") {
        const std::uint64_t size = GENERATE(0U, 4095U, std::uint64_t{1} << 60U);
        for (const std::size_t at : {std::size_t{32}, block_bytes + 32}) {
            store_little(bytes.data() + at, size);
        }
        reseal(bytes);
        CHECK(what(decode_ring_header(bytes).error()) == JournalErrc::bad_size);
    }
}

TEST_CASE("ring header: generations are found by name, others are left out", "[ring_header]") {
    test::ForgetfulDisk disk;
    REQUIRE(disk.make_directory("journal"));
    for (const char* name :
         {"ring-00000002",
          "ring-00000001",
          "ring-00000003.new",
          "ring-x0000001",
          "ring-1",
          "notes"}) {
        REQUIRE(disk.open(std::filesystem::path{"journal"} / name, OpenMode::create));
    }
    CHECK(ring_generations(disk, "journal").value() == std::vector<std::uint32_t>{1, 2});
    CHECK(ring_path("journal", 2) == "journal/ring-00000002");
}
