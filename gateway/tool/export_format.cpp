#include "gateway/tool/export_format.hpp"

#include "gateway/tool/base64.hpp"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <iterator>

namespace milepost::tool {

namespace {

constexpr std::string_view base64_mark = "base64:";
constexpr std::size_t piece_bytes = 512;

// How many bytes the UTF-8 character at the front has (RFC 3629); 0: it is none.
std::size_t utf8_length(std::string_view text) {
    const auto byte = [&](std::size_t i) {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
    };
    const auto follows = [&](std::size_t i) {
        return (byte(i) & 0xC0U) == 0x80U;
    };
    const unsigned first = byte(0);
    if (first < 0x80U) return 1;
    if (first >= 0xC2U && first <= 0xDFU) return follows(1) ? 2 : 0;
    if (first >= 0xE0U && first <= 0xEFU) {
        const bool is_overlong = first == 0xE0U && byte(1) < 0xA0U;
        const bool is_surrogate = first == 0xEDU && byte(1) > 0x9FU;
        return follows(1) && follows(2) && !is_overlong && !is_surrogate ? 3 : 0;
    }
    if (first >= 0xF0U && first <= 0xF4U) {
        const bool is_overlong = first == 0xF0U && byte(1) < 0x90U;
        const bool is_too_high = first == 0xF4U && byte(1) > 0x8FU;
        return follows(1) && follows(2) && follows(3) && !is_overlong && !is_too_high ? 4 : 0;
    }
    return 0;
}

using Word = std::uint64_t;

static_assert(std::endian::native == std::endian::little, "the first byte is the lowest one");

// How many of the eight bytes, from the first on, are what a JSON string may hold as it is and one
// byte long: not a control, a quote, a backslash, or beyond ASCII.
std::size_t plain_bytes(const char* eight) {
    constexpr Word each = 0x0101010101010101U;
    Word word = 0;
    std::memcpy(&word, eight, sizeof word);
    // Bit 7 of each byte. A borrow or a carry into the next byte begins at one that counts itself.
    const Word controls = word - each * 0x20U;
    const Word quotes = (word ^ (each * '"')) - each;
    const Word backslashes = (word ^ (each * '\\')) - each;
    const Word deletes = word + each;
    const Word found = (controls | quotes | backslashes | deletes | word) & (each * 0x80U);
    return found == 0 ? sizeof word : static_cast<std::size_t>(std::countr_zero(found)) / 8;
}

// Copies from `text` what needs no look at more than one byte, eight at a time, with quotes and
// backslashes escaped; how many bytes of it that were. What is copied is written behind `to`.
std::size_t append_ascii(std::string_view text, std::string& to) {
    const auto before = to.size();
    to.resize(before + 2 * text.size() + sizeof(Word));
    char* out = to.data() + before;
    std::size_t at = 0;
    while (text.size() - at >= sizeof(Word)) {
        std::memcpy(out, text.data() + at, sizeof(Word));
        const auto plain = plain_bytes(text.data() + at);
        at += plain;
        out += plain;
        if (plain == sizeof(Word)) continue;
        if (text[at] != '"' && text[at] != '\\') break;
        *out++ = '\\';
        *out++ = text[at++];
    }
    to.resize(static_cast<std::size_t>(out - to.data()));
    return at;
}

void append_one(char letter, std::string& to) {
    switch (letter) {
        case '"': to += "\\\""; break;
        case '\\': to += "\\\\"; break;
        case '\n': to += "\\n"; break;
        case '\r': to += "\\r"; break;
        case '\t': to += "\\t"; break;
        default:
            if (letter >= ' ' && letter != '\x7f') {
                to += letter;
            } else {
                fmt::format_to(std::back_inserter(to), "\\u{:04x}", static_cast<unsigned>(letter));
            }
    }
}

// Appends `text` as the inside of a JSON string; false, and nothing appended, if it is not UTF-8.
bool append_json_text(std::string_view text, std::string& to) {
    const auto before = to.size();
    while (!text.empty()) {
        text.remove_prefix(append_ascii(text.substr(0, piece_bytes), to));
        // What it stopped at, or the last few bytes.
        for (std::size_t i = 0; i < sizeof(Word) && !text.empty(); ++i) {
            const auto length = utf8_length(text);
            if (length == 0) {
                to.resize(before);
                return false;
            }
            if (length == 1) {
                append_one(text[0], to);
            } else {
                to += text.substr(0, length);
            }
            text.remove_prefix(length);
        }
    }
    return true;
}

void append_number(std::int64_t number, std::string& to) {
    std::array<char, 24> digits;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    to.append(digits.data(), end);
}

// `head` is what stands before a text, with the quote that begins it: {"key":"
void append_member(std::string_view head, const std::optional<Bytes>& bytes, std::string& to) {
    const auto before = to.size();
    to += head;
    if (bytes && append_json_text(as_text(*bytes), to)) {
        to += '"';
        return;
    }
    to.resize(before + head.size() - 1);
    if (!bytes) {
        to += "null";
        return;
    }
    to.resize(to.size() - 2);
    to += "_base64\":\"";
    append_base64(*bytes, to);
    to += '"';
}

void append_headers(std::span<const storage::HeaderView> headers, std::string& to) {
    to += '[';
    bool is_first = true;
    for (const auto& header : headers) {
        append_member(is_first ? R"({"name":")" : R"(,{"name":")", as_bytes(header.name), to);
        is_first = false;
        append_member(R"(,"value":")", header.value, to);
        to += '}';
    }
    to += ']';
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const auto length = utf8_length(text);
        if (length == 0) return false;
        text.remove_prefix(length);
    }
    return true;
}

void append_quoted(std::string_view text, std::string& to) {
    to += '"';
    for (const char letter : text) {
        if (letter == '"') to += '"';
        to += letter;
    }
    to += '"';
}

void append_csv_bytes(const std::optional<Bytes>& bytes, std::string& to) {
    if (!bytes) return;
    const auto text = as_text(*bytes);
    if (is_utf8(text) && !text.starts_with(base64_mark)) {
        const bool is_bare = !text.empty() && text.find_first_of(",\"\r\n") == text.npos;
        if (is_bare) {
            to += text;
        } else {
            append_quoted(text, to);
        }
        return;
    }
    to += base64_mark;
    append_base64(*bytes, to);
}

}  // namespace

void append_ndjson(const ReplayRecord& record, std::string& to) {
    append_member(R"({"topic":")", as_bytes(record.topic), to);
    to += R"(,"partition":)";
    append_number(record.partition, to);
    to += R"(,"offset":)";
    append_number(record.offset.value(), to);
    to += R"(,"timestamp":)";
    append_number(record.timestamp.value(), to);
    append_member(R"(,"key":")", record.key, to);
    append_member(R"(,"value":")", record.value, to);
    if (!record.headers.empty()) {
        to += R"(,"headers":)";
        append_headers(record.headers, to);
    }
    to += "}\n";
}

void append_csv(const ReplayRecord& record, std::string& to) {
    append_csv_bytes(as_bytes(record.topic), to);
    fmt::format_to(
        std::back_inserter(to),
        ",{},{},{},",
        record.partition,
        record.offset.value(),
        record.timestamp.value()
    );
    append_csv_bytes(record.key, to);
    to += ',';
    append_csv_bytes(record.value, to);
    to += ',';
    if (!record.headers.empty()) {
        std::string headers;
        append_headers(record.headers, headers);
        append_quoted(headers, to);
    }
    to += '\n';
}

}  // namespace milepost::tool
