#pragma once

#include "storage/format/offsets.hpp"
#include "storage/format/record.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

// How consume prints a record. Pure.
namespace milepost::tool {

// kcat's format string: %t topic, %p partition, %o offset, %k key, %K its length, %s payload,
// %S its length, %T timestamp in ms, %h headers (name=value,…), %% a percent sign; `\n`, `\t`,
// `\r`, `\\` written as two characters. A length of nothing is -1.
class RecordFormat {
public:
    // nullopt: an unknown % or \ sequence.
    [[nodiscard]] static std::optional<RecordFormat> parse(std::string_view text);

    void append(
        const storage::TopicPartition& from,
        const storage::StoredRecord& record,
        std::string& to
    ) const;

private:
    struct Part {
        char field = 0;  // 0: the literal text
        std::string text;
    };

    std::vector<Part> parts_;
};

inline constexpr std::string_view record_format_default = "%s\\n";

// One line in the shape of kcat -J.
void append_record_json(
    const storage::TopicPartition& from,
    const storage::StoredRecord& record,
    std::string& to
);

}  // namespace milepost::tool
