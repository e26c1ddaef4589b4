#include "gateway/tool/record_format.hpp"

#include "gateway/json_writer.hpp"

#include <fmt/format.h>

#include <iterator>

namespace milepost::tool {

namespace {

constexpr std::string_view fields = "tpokKsSTh";

void append_headers(const storage::StoredRecord& record, std::string& to) {
    storage::HeaderCursor headers{record};
    bool first = true;
    while (const auto header = headers.next()) {
        if (!first) to += ',';
        first = false;
        to += header->name;
        to += '=';
        to += as_text(header->value);
    }
}

void append_number(std::int64_t number, std::string& to) {
    fmt::format_to(std::back_inserter(to), "{}", number);
}

std::int64_t length_of(const std::optional<Bytes>& bytes) {
    return bytes ? static_cast<std::int64_t>(bytes->size()) : -1;
}

void append_bytes_of(const std::optional<Bytes>& bytes, std::string& to) {
    if (bytes) to += as_text(*bytes);
}

std::optional<char> unescape(char letter) {
    switch (letter) {
        case 'n': return '\n';
        case 't': return '\t';
        case 'r': return '\r';
        case '\\': return '\\';
        default: return std::nullopt;
    }
}

}  // namespace

std::optional<RecordFormat> RecordFormat::parse(std::string_view text) {
    RecordFormat format;
    std::string literal;
    const auto end_literal = [&] {
        if (!literal.empty()) format.parts_.push_back({0, std::exchange(literal, {})});
    };
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%' && text[i] != '\\') {
            literal += text[i];
            continue;
        }
        const char mark = text[i];
        if (++i == text.size()) return std::nullopt;
        if (mark == '\\') {
            const auto letter = unescape(text[i]);
            if (!letter) return std::nullopt;
            literal += *letter;
        } else if (text[i] == '%') {
            literal += '%';
        } else if (fields.find(text[i]) != std::string_view::npos) {
            end_literal();
            format.parts_.push_back({text[i], {}});
        } else {
            return std::nullopt;
        }
    }
    end_literal();
    return format;
}

void RecordFormat::append(
    const storage::TopicPartition& from,
    const storage::StoredRecord& record,
    std::string& to
) const {
    for (const auto& part : parts_) {
        switch (part.field) {
            case 't': to += from.topic; break;
            case 'p': append_number(from.partition, to); break;
            case 'o': append_number(record.offset.value(), to); break;
            case 'k': append_bytes_of(record.key, to); break;
            case 'K': append_number(length_of(record.key), to); break;
            case 's': append_bytes_of(record.value, to); break;
            case 'S': append_number(length_of(record.value), to); break;
            case 'T': append_number(record.timestamp.value(), to); break;
            case 'h': append_headers(record, to); break;
            default: to += part.text;
        }
    }
}

void append_record_json(
    const storage::TopicPartition& from,
    const storage::StoredRecord& record,
    std::string& to
) {
    JsonWriter writer;
    const auto bytes = [&](const std::optional<Bytes>& value) {
        if (value) {
            writer.text(as_text(*value));
        } else {
            writer.null();
        }
    };
    writer.begin_object();
    writer.key("topic").text(from.topic);
    writer.key("partition").integer(std::int64_t{from.partition});
    writer.key("offset").integer(record.offset.value());
    writer.key("tstype").text("create");
    writer.key("ts").integer(record.timestamp.value());
    writer.key("broker").integer(std::int64_t{0});
    if (record.header_count > 0) {
        writer.key("headers").begin_array();
        storage::HeaderCursor headers{record};
        while (const auto header = headers.next()) {
            writer.text(header->name).text(as_text(header->value));
        }
        writer.end_array();
    }
    writer.key("key");
    bytes(record.key);
    writer.key("payload");
    bytes(record.value);
    writer.end_object();
    to += writer.str();
    to += '\n';
}

}  // namespace milepost::tool
