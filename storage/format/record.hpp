#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"
#include "storage/base/time.hpp"
#include "storage/format/offsets.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace milepost::storage {

// A header of a record: a name and a value. Both are views.
struct HeaderView {
    std::string_view name;
    Bytes value;
};

// A record on its way in. All views; valid during the call that takes it.
struct RecordView {
    Timestamp timestamp;
    Bytes key;    // never null in our log; may be empty
    Bytes value;  // an empty MQTT payload is an empty value
    std::span<const HeaderView> headers;
};

// A record that was read: views into the (decompressed) batch it came from.
struct StoredRecord {
    Offset offset;
    Timestamp timestamp;
    std::optional<Bytes> key;  // nullopt: null (foreign batches)
    std::optional<Bytes> value;
    Bytes raw_headers;  // encoded headers, without their count; see for_each_header
    std::uint32_t header_count = 0;
};

// Walks the headers of a record that decoded well. A null header value is given as empty.
class HeaderCursor {
public:
    explicit HeaderCursor(const StoredRecord& record)
        : rest_(record.raw_headers)
        , left_(record.header_count) {}

    [[nodiscard]] std::optional<HeaderView> next();

private:
    ByteReader rest_;
    std::uint32_t left_;
};

}  // namespace milepost::storage
