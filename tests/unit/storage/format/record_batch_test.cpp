#include "storage/format/record_batch.hpp"

#include "storage/format/batch_builder.hpp"
#include "storage/format/crc32c.hpp"
#include "storage/format/errc.hpp"
#include "tests/support/matchers.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <functional>
#include <limits>
#include <string>
#include <vector>

using namespace milepost;
using namespace milepost::storage;

namespace {

Buffer sample(Codec codec = Codec::none) {
    const std::array<HeaderView, 1> headers{{{.name = "mqtt.retain", .value = as_bytes("1")}}};
    BatchBuilder builder;
    builder.start(Offset{100});
    for (int i = 0; i < 5; ++i) {
        builder.add(
            {Timestamp{1000 + i},
             as_bytes("V1"),
             as_bytes(R"({"speed":45.2,"speed":45.2})"),
             headers}
        );
    }
    Buffer batch;
    REQUIRE(builder.finish(codec, batch));
    return batch;
}

// Makes the CRC right again, as a hostile writer would.
void seal(Buffer& batch) {
    const Bytes covered = Bytes{batch}.subspan(batch_layout::attributes);
    store_big(batch.data() + batch_layout::crc, crc32c(covered));
}

ErrorCode walk(Bytes batch) {
    const auto header = check_batch(batch);
    if (!header) return header.error();
    Buffer scratch;
    auto cursor = RecordCursor::open(batch, *header, scratch);
    if (!cursor) return cursor.error();
    for (;;) {
        const auto record = cursor->next();
        if (!record) return record.error();
        if (!record->has_value()) return {};
    }
}

}  // namespace

TEST_CASE("record batch: a flipped bit in any byte is seen", "[batch]") {
    const Buffer good = sample(GENERATE(Codec::none, Codec::zstd));
    for (std::size_t at = 0; at < good.size(); ++at) {
        for (unsigned bit = 0; bit < 8; ++bit) {
            Buffer bad = good;
            bad[at] ^= static_cast<std::byte>(1U << bit);
            const auto header = check_batch(bad);
            // Outside the CRC, and for the neighbours to judge: base offset and leader epoch.
            const bool is_base = at < batch_layout::batch_length;
            const bool is_epoch = at >= batch_layout::leader_epoch && at < batch_layout::magic;
            INFO("byte " << at << ", bit " << bit);
            if (!is_base && !is_epoch) {
                CHECK_FALSE(header);
            } else if (header) {
                CHECK((header->base_offset != Offset{100} || header->leader_epoch != 0));
            }
        }
    }
}

TEST_CASE("record batch: every cut is a short read", "[batch]") {
    const Buffer good = sample();
    for (std::size_t cut = 0; cut < good.size(); ++cut) {
        CHECK(check_batch(Bytes{good}.first(cut)).error() == FormatErrc::short_read);
    }
    CHECK(check_batch(good));
}

TEST_CASE("record batch: what follows a batch does not matter", "[batch]") {
    Buffer two = sample();
    const std::size_t bytes = two.size();
    append_bytes(two, sample(Codec::lz4));
    REQUIRE(check_batch(two));
    CHECK(check_batch(two)->total_bytes == bytes);
    CHECK(check_batch(Bytes{two}.subspan(bytes))->codec == Codec::lz4);
}

TEST_CASE("record batch: a header needs only itself to be looked at", "[batch]") {
    const Buffer good = sample();
    const auto header = peek_batch_header(Bytes{good}.first(batch_header_bytes));
    REQUIRE(header);
    CHECK(header->total_bytes == good.size());
    CHECK(
        peek_batch_header(Bytes{good}.first(batch_header_bytes - 1)).error() ==
        FormatErrc::short_read
    );
}

TEST_CASE("record batch: fields that contradict each other are refused", "[batch]") {
    using namespace batch_layout;

    struct Case {
        const char* name;
        std::function<void(std::byte*)> spoil;
        FormatErrc expected;
    };

    const auto max32 = std::numeric_limits<std::int32_t>::max();
    const std::vector<Case> cases{
        {"length under a header",
         [](auto* b) { store_big(b + batch_length, 48); },
         FormatErrc::malformed_batch},
        {"negative length",
         [](auto* b) { store_big(b + batch_length, -1); },
         FormatErrc::malformed_batch},
        {"length over the limit",
         [&](auto* b) { store_big(b + batch_length, max32); },
         FormatErrc::malformed_batch},
        {"magic 1",
         [](auto* b) { store_big(b + magic, std::int8_t{1}); },
         FormatErrc::unsupported_magic},
        {"codec 5",
         [](auto* b) { store_big(b + attributes, std::int16_t{5}); },
         FormatErrc::unsupported_codec},
        {"unknown attribute",
         [](auto* b) { store_big(b + attributes, std::int16_t{0x80}); },
         FormatErrc::malformed_batch},
        {"negative base",
         [](auto* b) { store_big(b + base_offset, std::int64_t{-1}); },
         FormatErrc::malformed_batch},
        {"last offset overflows",
         [](auto* b) { store_big(b + base_offset, std::numeric_limits<std::int64_t>::max() - 3); },
         FormatErrc::malformed_batch},
        {"negative delta",
         [](auto* b) { store_big(b + last_offset_delta, -1); },
         FormatErrc::malformed_batch},
        {"negative count",
         [](auto* b) { store_big(b + record_count, -1); },
         FormatErrc::malformed_batch},
        {"more records than offsets",
         [](auto* b) { store_big(b + record_count, 6); },
         FormatErrc::malformed_batch},
    };
    for (const Case& each : cases) {
        Buffer batch = sample();
        each.spoil(batch.data());
        seal(batch);
        INFO(each.name);
        const auto header = check_batch(batch);
        REQUIRE_FALSE(header);
        CHECK(header.error() == each.expected);
    }
}

TEST_CASE("record batch: records that contradict their batch are refused", "[batch]") {
    using namespace batch_layout;

    struct Case {
        const char* name;
        std::function<void(std::byte*)> spoil;
    };

    // The first record: length at 61, attributes, timestamp delta, offset delta at 64, key length.
    const std::vector<Case> cases{
        {"fewer records than there are",
         [](auto* b) {
             store_big(b + record_count, 4);
         }},
        {"negative length",
         [](auto* b) {
             b[61] = std::byte{1};
         }},
        {"length too short",
         [](auto* b) {
             b[61] = std::byte{8};
         }},
        {"length too long",
         [](auto* b) {
             b[61] = b[61] | std::byte{0x40};
             b[61] = std::byte{0x7e};
         }},
        {"offset over the last",
         [](auto* b) {
             b[64] = std::byte{20};
         }},
        {"offset below zero",
         [](auto* b) {
             b[64] = std::byte{1};
         }},
        {"key length -2",
         [](auto* b) {
             b[65] = std::byte{3};
         }},
        {"key beyond the record",
         [](auto* b) {
             b[65] = std::byte{0x7e};
         }},
    };
    CHECK_FALSE(walk(sample()));
    for (const Case& each : cases) {
        Buffer batch = sample();
        each.spoil(batch.data());
        seal(batch);
        INFO(each.name);
        CHECK(walk(batch));
    }
}

TEST_CASE("record batch: offsets may have holes but must rise", "[batch]") {
    Buffer batch = sample();
    // Five equal records of (size - 61) / 5 bytes; the offset delta is the fourth byte of each.
    const std::size_t record_bytes = (batch.size() - batch_header_bytes) / 5;
    store_big(batch.data() + batch_layout::last_offset_delta, 9);
    batch[batch_header_bytes + 4 * record_bytes + 3] = std::byte{18};  // zigzag 9
    seal(batch);
    CHECK_FALSE(walk(batch));
    batch[batch_header_bytes + 4 * record_bytes + 3] = std::byte{6};  // 3 again
    seal(batch);
    CHECK(walk(batch) == FormatErrc::malformed_record);
}

TEST_CASE("record batch: with log append time every record has the batch's timestamp", "[batch]") {
    Buffer batch = sample();
    store_big(
        batch.data() + batch_layout::attributes,
        static_cast<std::int16_t>(attribute::log_append_time)
    );
    seal(batch);
    const auto header = check_batch(batch);
    REQUIRE(header);
    Buffer scratch;
    auto cursor = RecordCursor::open(batch, *header, scratch);
    REQUIRE(cursor);
    CHECK((*cursor->next())->timestamp == header->max_timestamp);
}

TEST_CASE(
    "record batch: a compressed block that is rotten under a right CRC is refused",
    "[batch]"
) {
    const auto codec = GENERATE(Codec::lz4, Codec::zstd);
    const Buffer good = sample(codec);
    REQUIRE(check_batch(good)->codec == codec);
    for (std::size_t at = batch_header_bytes; at < good.size(); ++at) {
        Buffer bad = good;
        bad[at] ^= std::byte{0x10};
        seal(bad);
        static_cast<void>(walk(bad));  // an error or other records, never a crash
    }
}

TEST_CASE("record batch: an empty one, as compaction leaves it, has no record", "[batch]") {
    Buffer batch = sample();
    batch.resize(batch_header_bytes);
    store_big(batch.data() + batch_layout::batch_length, std::int32_t{49});
    store_big(batch.data() + batch_layout::record_count, 0);
    seal(batch);
    CHECK_FALSE(walk(batch));
}
