#include "gateway/tool/export_format.hpp"

#include "gateway/tool/base64.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <iterator>

namespace milepost::tool {

namespace {

constexpr std::string_view base64_mark = "base64:";

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

constexpr std::array<bool, 256> make_plain() {
    std::array<bool, 256> plain{};
    for (std::size_t i = 0x20; i < 0x80; ++i)
        plain[i] = i != '"' && i != '\\' && i != 0x7F;
    return plain;
}

constexpr auto plain = make_plain();

void append_escaped(char letter, std::string& to) {
    switch (letter) {
        case '"': to += "\\\""; break;
        case '\\': to += "\\\\"; break;
        case '\n': to += "\\n"; break;
        case '\r': to += "\\r"; break;
        case '\t': to += "\\t"; break;
        default: fmt::format_to(std::back_inserter(to), "\\u{:04x}", static_cast<unsigned>(letter));
    }
}

// Appends `text` as a JSON string; false, and nothing appended, if it is not UTF-8.
bool append_json_text(std::string_view text, std::string& to) {
    const auto before = to.size();
    to += '"';
    std::size_t done = 0;
    std::size_t at = 0;
    while (at < text.size()) {
        if (plain[static_cast<unsigned char>(text[at])]) {
            ++at;
            continue;
        }
        const auto length = utf8_length(text.substr(at));
        if (length == 0) {
            to.resize(before);
            return false;
        }
        if (length == 1) {
            to.append(text, done, at - done);
            append_escaped(text[at], to);
            done = at + 1;
        }
        at += length;
    }
    to.append(text, done);
    to += '"';
    return true;
}

void append_member(std::string_view name, const std::optional<Bytes>& bytes, std::string& to) {
    const auto before = to.size();
    to += '"';
    to += name;
    if (!bytes) {
        to += "\":null";
        return;
    }
    to += "\":";
    if (append_json_text(as_text(*bytes), to)) return;
    to.resize(before);
    to += '"';
    to += name;
    to += "_base64\":\"";
    append_base64(*bytes, to);
    to += '"';
}

void append_headers(std::span<const storage::HeaderView> headers, std::string& to) {
    to += '[';
    bool first = true;
    for (const auto& header : headers) {
        to += first ? "{" : ",{";
        first = false;
        append_member("name", as_bytes(header.name), to);
        to += ',';
        append_member("value", header.value, to);
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
    to += '{';
    append_member("topic", as_bytes(record.topic), to);
    fmt::format_to(
        std::back_inserter(to),
        ",\"partition\":{},\"offset\":{},\"timestamp\":{},",
        record.partition,
        record.offset.value(),
        record.timestamp.value()
    );
    append_member("key", record.key, to);
    to += ',';
    append_member("value", record.value, to);
    if (!record.headers.empty()) {
        to += ",\"headers\":";
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
