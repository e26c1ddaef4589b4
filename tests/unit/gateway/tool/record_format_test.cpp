#include "gateway/tool/record_format.hpp"

#include "storage/format/batch_builder.hpp"
#include "storage/format/record_batch.hpp"
#include "tests/support/matchers.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <array>

using namespace milepost;
using namespace milepost::tool;

namespace {

// A stored record with two headers, as a reader of a batch gets it.
class Stored {
public:
    Stored(std::string_view key, std::string_view value) {
        const std::array headers{
            storage::HeaderView{"a", as_bytes("1")},
            storage::HeaderView{"mqtt.topic", as_bytes("x/y")}};
        builder_.start(storage::Offset{41});
        builder_.add(
            {.timestamp = Timestamp{1000}, .key = as_bytes("k"), .value = {}, .headers = {}}
        );
        builder_.add(
            {.timestamp = Timestamp{1234},
             .key = as_bytes(key),
             .value = as_bytes(value),
             .headers = headers}
        );
        const Bytes batch = builder_.finish_plain();
        const auto header = storage::check_batch(batch);
        auto cursor = storage::RecordCursor::open(batch, *header, scratch_);
        bare = **cursor->next();
        full = **cursor->next();
    }

    storage::StoredRecord bare;
    storage::StoredRecord full;
    storage::TopicPartition from{"t.x", 3};

private:
    storage::BatchBuilder builder_;
    Buffer scratch_;
};

std::string formatted(
    const Stored& stored,
    std::string_view format,
    const storage::StoredRecord& record
) {
    std::string out;
    RecordFormat::parse(format).value().append(stored.from, record, out);
    return out;
}

}  // namespace

TEST_CASE("record format: every field of kcat's format string", "[tool]") {
    const Stored stored{"V0001", "value"};
    CHECK(
        formatted(stored, "%t %p %o %k %K %s %S %T %h%%\\n\\t\\\\", stored.full) ==
        "t.x 3 42 V0001 5 value 5 1234 a=1,mqtt.topic=x/y%\n\t\\"
    );
    CHECK(formatted(stored, record_format_default, stored.full) == "value\n");
    CHECK(formatted(stored, "[%s|%S|%h]", stored.bare) == "[|0|]");
}

TEST_CASE("record format: nothing is a length of -1", "[tool]") {
    Stored stored{"a", "b"};
    stored.full.key = std::nullopt;
    stored.full.value = std::nullopt;
    CHECK(formatted(stored, "%k%K%s%S", stored.full) == "-1-1");
}

TEST_CASE("record format: unknown sequences are refused", "[tool]") {
    for (const auto* wrong : {"%x", "%", "a\\", "\\q"})
        CHECK_FALSE(RecordFormat::parse(wrong));
}

TEST_CASE("record format: JSON has the shape of kcat -J", "[tool]") {
    Stored stored{"V0001", "{\"a\":1}\xff"};
    std::string out;
    append_record_json(stored.from, stored.full, out);
    CHECK(
        out ==
        "{\"topic\":\"t.x\",\"partition\":3,\"offset\":42,\"tstype\":\"create\",\"ts\":1234,"
        "\"broker\":0,\"headers\":[\"a\",\"1\",\"mqtt.topic\",\"x/y\"],\"key\":\"V0001\","
        "\"payload\":\"{\\\"a\\\":1}\xEF\xBF\xBD\"}\n"
    );
    out.clear();
    stored.bare.key = std::nullopt;
    append_record_json(stored.from, stored.bare, out);
    const auto parsed = nlohmann::json::parse(out);
    CHECK(parsed["key"].is_null());
    CHECK(parsed["payload"] == "");
    CHECK_FALSE(parsed.contains("headers"));
}
