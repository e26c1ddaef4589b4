#pragma once

#include "gateway/tool/replay_record.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

// What export writes, and what replay reads back. Pure.
namespace milepost::tool {

// One JSON object and '\n': topic, partition, offset, timestamp (ms), key, value, headers (an array
// of {name, value}; left out if there are none). null is null. What is not UTF-8 is in `…_base64`
// instead: key_base64, value_base64, name_base64.
void append_ndjson(const ReplayRecord& record, std::string& to);

// RFC 4180, '\n' at the end of a line. A null is an empty field, an empty text is "". What is not
// UTF-8 (or begins with the mark itself) is `base64:` and base64. Headers as in NDJSON.
inline constexpr std::string_view csv_head = "topic,partition,offset,timestamp,key,value,headers\n";
void append_csv(const ReplayRecord& record, std::string& to);

// The largest record of a log is 1,000,000 bytes; escapes make six letters of one at most.
inline constexpr std::size_t ndjson_line_bytes_max = std::size_t{8} * 1024 * 1024;

// Reads lines that append_ndjson wrote.
class NdjsonParser {
public:
    // The record, valid until the next call; or `problem` says what is wrong with the line (without
    // its end), in one short line.
    [[nodiscard]] const ReplayRecord* parse(std::string_view line, std::string& problem);

private:
    struct Text {
        std::string bytes;
        bool is_null = true;
    };

    std::string topic_;
    Text key_;
    Text value_;
    std::vector<std::string> header_texts_;  // name, value, name, …
    std::vector<storage::HeaderView> headers_;
    ReplayRecord record_;
};

}  // namespace milepost::tool
