#include "gateway/listener/content_hash.hpp"

#include <catch2/catch.hpp>

#include <set>
#include <string>

namespace milepost::listener {

// These are on the disks of gateways: a change here makes every retransmission after an upgrade a
// new reading.
TEST_CASE("content hash: is what it always was", "[content_hash]") {
    CHECK(content_hash("", {}) == 0x9E7E090EEFF6CF5D);
    CHECK(content_hash("vehicles/V0001/telemetry", as_bytes("{\"a\":1}")) == 0x0BB02F4B71417CCB);
}

TEST_CASE("content hash: every bit and every length makes another", "[content_hash]") {
    std::set<std::uint64_t> seen;
    std::size_t made = 0;
    for (std::size_t length = 0; length <= 70; ++length) {
        std::string payload(length, '\0');
        seen.insert(content_hash("t", as_bytes(payload)));
        ++made;
        for (std::size_t bit = 0; bit < length * 8; ++bit) {
            payload[bit / 8] = static_cast<char>(1U << (bit % 8));
            seen.insert(content_hash("t", as_bytes(payload)));
            payload[bit / 8] = '\0';
            ++made;
        }
    }
    CHECK(seen.size() == made);
}

TEST_CASE("content hash: where the topic ends counts", "[content_hash]") {
    CHECK(content_hash("ab", as_bytes("c")) != content_hash("a", as_bytes("bc")));
    CHECK(content_hash("", as_bytes("abc")) != content_hash("abc", {}));
}

}  // namespace milepost::listener
