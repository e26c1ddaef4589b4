#include "gateway/listener/session_state.hpp"

#include <catch2/catch.hpp>

#include <utility>
#include <vector>

namespace milepost::listener {

namespace {

constexpr Timestamp t0{1'000'000};

Buffer operator+(Buffer left, const SessionChangeBytes& right) {
    append_bytes(left, right.bytes());
    return left;
}

Remembered publish(unsigned id) {
    return {.hash = id * 1000ULL, .packet_id = static_cast<mqtt::PacketId>(id)};
}

Buffer merge(const Buffer& state, const Buffer& changes) {
    const Bytes bytes = changes;
    return merge_session_states(state, {&bytes, 1});
}

// The example of storage/FORMAT.md.
Buffer example() {
    return Buffer{} + SessionChangeBytes::header(300, t0) +
           SessionChangeBytes::published({.hash = 0x1122334455667788, .packet_id = 7}) +
           SessionChangeBytes::received({.hash = 0x99AABBCCDDEEFF00, .packet_id = 8}) +
           SessionChangeBytes::released(9);
}

}  // namespace

TEST_CASE("session state: the bytes are those of the format page", "[session_state]") {
    const std::vector<unsigned> bytes{1,    0x2c, 1,    0,    0,    0x40, 0x42, 0x0f, 0,    0,
                                      0,    0,    0,    2,    7,    0,    0x88, 0x77, 0x66, 0x55,
                                      0x44, 0x33, 0x22, 0x11, 3,    8,    0,    0x00, 0xff, 0xee,
                                      0xdd, 0xcc, 0xbb, 0xaa, 0x99, 4,    9,    0};
    Buffer expected;
    for (const unsigned byte : bytes)
        expected.push_back(static_cast<std::byte>(byte));
    CHECK(same_bytes(example(), expected));
}

TEST_CASE("session state: what is encoded is decoded", "[session_state]") {
    const auto state = decode_session_state(example());
    REQUIRE(state);
    CHECK(state->expiry_s == 300);
    CHECK(state->disconnected_at == t0);
    CHECK(state->memory.window.contains({.hash = 0x1122334455667788, .packet_id = 7}));
    CHECK(state->memory.unreleased.find(8) != nullptr);
    CHECK(same_bytes(encode_session_state(*state), merge({}, example())));
}

TEST_CASE("session state: the last count of a bridge's records stands", "[session_state]") {
    const Buffer counts = Buffer{} + SessionChangeBytes::accepted(7) +
                          SessionChangeBytes::accepted(8);
    const Buffer state = merge(example(), counts);
    REQUIRE(decode_session_state(state));
    CHECK(decode_session_state(state)->accepted == 8);
    CHECK(decode_session_state(merge(state, counts))->accepted == 8);
    CHECK(
        decode_session_state(merge(state, Buffer{} + SessionChangeBytes::released(9)))->accepted ==
        8
    );
    const Buffer anew = Buffer{} + SessionChangeBytes::accepted(0);
    CHECK(same_bytes(merge(state, anew), merge({}, example())));
    CHECK(fold_session_state(state, {}).empty());
}

TEST_CASE("session state: a header alone keeps what is remembered", "[session_state]") {
    const Buffer state = merge(example(), Buffer{} + SessionChangeBytes::header(5, t0 + 1));
    const auto decoded = decode_session_state(state);
    REQUIRE(decoded);
    CHECK(decoded->expiry_s == 5);
    CHECK(decoded->memory.window.size() == 1);
    CHECK(decoded->memory.unreleased.size() == 1);
}

TEST_CASE("session state: the same changes again change nothing", "[session_state]") {
    for (const unsigned count : {1U, 3U, 255U, 256U, 257U, 1000U}) {
        Buffer state = merge({}, example());
        Buffer changes;
        for (unsigned id = 1; id <= count; ++id) {
            changes = std::move(changes) + SessionChangeBytes::published(publish(id)) +
                      SessionChangeBytes::received(publish(id));
            if (id % 2 == 0)
                changes = std::move(changes) + SessionChangeBytes::released(publish(id).packet_id);
        }
        const Buffer once = merge(state, changes);
        CHECK(same_bytes(merge(once, changes), once));
    }
}

TEST_CASE("session state: only the youngest publishes are kept", "[session_state]") {
    Buffer changes;
    for (unsigned id = 1; id <= 1000; ++id) {
        changes = std::move(changes) + SessionChangeBytes::published(publish(id));
    }
    const auto state = decode_session_state(merge(merge({}, example()), changes));
    REQUIRE(state);
    CHECK(state->memory.window.size() == DuplicateWindow::entries_max);
    CHECK(state->memory.window.contains(publish(1000)));
    CHECK(state->memory.window.contains(publish(1000 - DuplicateWindow::entries_max + 1)));
    CHECK_FALSE(state->memory.window.contains(publish(1000 - DuplicateWindow::entries_max)));
}

TEST_CASE("session state: bytes that are no changes are no state", "[session_state]") {
    Buffer bytes = example();
    CHECK_FALSE(decode_session_state({}));
    CHECK_FALSE(decode_session_state(Bytes{bytes}.subspan(13)));  // no header
    CHECK_FALSE(decode_session_state(Bytes{bytes}.first(bytes.size() - 1)));
    bytes.push_back(std::byte{9});
    CHECK_FALSE(decode_session_state(bytes));
}

}  // namespace milepost::listener
