#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace milepost {

// Writes JSON (RFC 8259) front to back; commas and escapes are its business. Bytes that are not
// UTF-8 are written as U+FFFD: the text is always valid.
class JsonWriter {
public:
    JsonWriter& begin_object() { return open('{'); }

    JsonWriter& end_object() { return close('}'); }

    JsonWriter& begin_array() { return open('['); }

    JsonWriter& end_array() { return close(']'); }

    JsonWriter& key(std::string_view name);
    JsonWriter& text(std::string_view value);
    JsonWriter& integer(std::int64_t value);
    JsonWriter& integer(std::uint64_t value);
    JsonWriter& number(double value);  // three decimals
    JsonWriter& boolean(bool value);
    JsonWriter& null();

    [[nodiscard]] const std::string& str() const { return out_; }

private:
    JsonWriter& open(char bracket);
    JsonWriter& close(char bracket);
    void separate();

    std::string out_;
    bool needs_comma_ = false;
};

// `text` as the inside of a JSON string.
[[nodiscard]] std::string json_escape(std::string_view text);

}  // namespace milepost
