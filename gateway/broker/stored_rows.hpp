#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace milepost::broker {

// Where messages are kept beside the sessions: their keys begin with U+0000, which no client id
// does (MQTT-1.5.4-2). A queued message has a number, a retained one its topic.
[[nodiscard]] std::string key_of_row(std::uint64_t number);
[[nodiscard]] std::string key_of_retained(std::string_view topic);
[[nodiscard]] std::optional<std::uint64_t> row_of_key(std::string_view key);
[[nodiscard]] std::optional<std::string_view> retained_topic_of_key(std::string_view key);

class StoredRows;

// A stored message, for as long as a queue of a kept session refers to it.
class StoredRow {
public:
    StoredRow(StoredRows& rows, std::uint64_t number)
        : rows_(&rows)
        , number_(number) {}

    ~StoredRow();
    StoredRow(const StoredRow&) = delete;
    StoredRow& operator=(const StoredRow&) = delete;

    [[nodiscard]] std::uint64_t number() const { return number_; }

private:
    StoredRows* rows_;
    std::uint64_t number_;
};

using StoredRowPtr = std::shared_ptr<const StoredRow>;

// Numbers them, and knows those that nobody refers to any more. Outlives its rows.
class StoredRows {
public:
    [[nodiscard]] StoredRowPtr make() { return std::make_shared<StoredRow>(*this, next_++); }

    // From before the restart, also of a reference to a row that is gone: no number comes twice.
    [[nodiscard]] StoredRowPtr restore(std::uint64_t number) {
        note(number);
        return std::make_shared<StoredRow>(*this, number);
    }

    void note(std::uint64_t number) {
        if (number >= next_) next_ = number + 1;
    }

    // Rows to be forgotten; what the owner could not forget now it gives back.
    [[nodiscard]] std::vector<std::uint64_t> take_unused() { return std::exchange(unused_, {}); }

    void give_back(std::uint64_t number) { unused_.push_back(number); }

    [[nodiscard]] bool has_unused() const { return !unused_.empty(); }

private:
    std::uint64_t next_ = 1;
    std::vector<std::uint64_t> unused_;
};

inline StoredRow::~StoredRow() {
    rows_->give_back(number_);
}

}  // namespace milepost::broker
