#include "storage/format/record.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace milepost;
using namespace milepost::storage;

namespace {

StoredRecord with_headers(Bytes raw, std::uint32_t count) {
    StoredRecord record;
    record.raw_headers = raw;
    record.header_count = count;
    return record;
}

}  // namespace

TEST_CASE("record: headers are walked in order, a null value is empty", "[record]") {
    const std::string raw{
        "\x02"
        "a"
        "\x04"
        "xy"
        "\x04"
        "bc"
        "\x01"
        "\x00"
        "\x00",
        11};
    const auto record = with_headers(as_bytes(raw), 3);
    HeaderCursor cursor{record};
    auto header = cursor.next();
    REQUIRE(header);
    CHECK(header->name == "a");
    CHECK(as_text(header->value) == "xy");
    header = cursor.next();
    REQUIRE(header);
    CHECK(header->name == "bc");
    CHECK(header->value.empty());
    header = cursor.next();
    REQUIRE(header);
    CHECK(header->name.empty());
    CHECK_FALSE(cursor.next());
}

TEST_CASE("record: a cursor over cut headers ends", "[record]") {
    const std::string raw{
        "\x02"
        "a"
        "\x04"
        "xy"};
    for (std::size_t cut = 0; cut < raw.size(); ++cut) {
        const auto record = with_headers(as_bytes(raw).first(cut), 1);
        HeaderCursor cursor{record};
        CHECK_FALSE(cursor.next());
    }
}
