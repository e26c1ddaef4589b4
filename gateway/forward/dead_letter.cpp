#include "gateway/forward/dead_letter.hpp"

#include "storage/format/batch_builder.hpp"
#include "storage/log/dead_letters.hpp"

#include <algorithm>

namespace milepost::forward {

namespace {

constexpr std::string_view cut_header = "mp.dead.value-bytes";
constexpr std::string_view mark_prefix = "mp.dead.";
// Of the record's own headers a cut dead letter keeps the gateway's and the MQTT topic.
constexpr std::string_view own_prefix = "mp.";
constexpr std::string_view topic_header = "mqtt.topic";

void add(OwnedRecord& record, std::string_view name, std::string_view value) {
    const Bytes bytes = as_bytes(value);
    record.headers.emplace_back(std::string{name}, Buffer{bytes.begin(), bytes.end()});
}

void copy_headers(const storage::StoredRecord& from, OwnedRecord& to) {
    storage::HeaderCursor cursor{from};
    while (const auto header = cursor.next()) {
        to.headers.emplace_back(
            std::string{header->name},
            Buffer{header->value.begin(), header->value.end()}
        );
    }
}

bool has(const OwnedRecord& record, std::string_view name) {
    return std::any_of(record.headers.begin(), record.headers.end(), [&](const auto& header) {
        return header.first == name;
    });
}

void cut(OwnedRecord& record) {
    std::erase_if(record.headers, [](const auto& header) {
        return !header.first.starts_with(own_prefix) && header.first != topic_header;
    });
    add(record, cut_header, std::to_string(record.value.size()));
    record.value.resize(std::min(record.value.size(), dead_letter_value_bytes_cut));
}

}  // namespace

storage::RecordView OwnedRecord::view(std::vector<storage::HeaderView>& views) const {
    views.clear();
    for (const auto& [name, content] : headers)
        views.push_back({.name = name, .value = content});
    return {.timestamp = timestamp, .key = key, .value = value, .headers = views};
}

std::optional<DeadLetter> make_dead_letter(
    const storage::TopicPartition& partition,
    const storage::StoredRecord& record,
    std::string_view reason,
    Timestamp now,
    std::size_t record_bytes_max
) {
    const Bytes key = record.key.value_or(Bytes{});
    const Bytes value = record.value.value_or(Bytes{});
    DeadLetter letter{
        .topic = partition.topic,
        .record = {
            .timestamp = now,
            .key = {key.begin(), key.end()},
            .value = {value.begin(), value.end()},
            .headers = {}}};
    copy_headers(record, letter.record);
    if (storage::is_dead_letter_topic(partition.topic)) {
        if (has(letter.record, cut_header)) return std::nullopt;
        cut(letter.record);
        return letter;
    }
    letter.topic += storage::dead_letter_suffix;
    // A sensor cannot set these: ingest drops its mp.*; other sources of records might.
    std::erase_if(letter.record.headers, [](const auto& header) {
        return header.first.starts_with(mark_prefix);
    });
    add(letter.record, "mp.dead.reason", reason);
    add(letter.record, "mp.dead.topic", partition.topic);
    add(letter.record, "mp.dead.partition", std::to_string(partition.partition));
    add(letter.record, "mp.dead.offset", std::to_string(record.offset.value()));
    add(letter.record, "mp.dead.timestamp", std::to_string(record.timestamp.value()));
    std::vector<storage::HeaderView> views;
    if (storage::record_bytes_max(letter.record.view(views)) > record_bytes_max) {
        cut(letter.record);
    }
    return letter;
}

}  // namespace milepost::forward
