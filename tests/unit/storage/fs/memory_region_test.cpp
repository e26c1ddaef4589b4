#include "storage/fs/memory_region.hpp"

#include <catch2/catch.hpp>

#include <cstdint>
#include <utility>

using namespace milepost;
using namespace milepost::storage;

TEST_CASE("memory region: it is page aligned and zero", "[memory_region]") {
    MemoryRegion region{8192};
    REQUIRE(region.bytes().size() == 8192);
    CHECK(reinterpret_cast<std::uintptr_t>(region.bytes().data()) % 4096 == 0);
    CHECK(region.bytes()[8191] == std::byte{0});
}

TEST_CASE("memory region: released pages are zero again, the others stay", "[memory_region]") {
    MemoryRegion region{12288};
    region.bytes()[0] = std::byte{1};
    region.bytes()[4096] = std::byte{2};
    region.bytes()[8192] = std::byte{3};
    region.release(4096, 4096);
    CHECK(region.bytes()[0] == std::byte{1});
    CHECK(region.bytes()[4096] == std::byte{0});
    CHECK(region.bytes()[8192] == std::byte{3});
}

TEST_CASE("memory region: moving keeps the address", "[memory_region]") {
    MemoryRegion region{4096};
    region.bytes()[7] = std::byte{7};
    const std::byte* address = region.bytes().data();
    MemoryRegion moved{4096};
    moved = std::move(region);
    CHECK(moved.bytes().data() == address);
    CHECK(moved.bytes()[7] == std::byte{7});
    CHECK(MemoryRegion{}.bytes().empty());
}
