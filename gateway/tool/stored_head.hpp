#pragma once

#include "gateway/tool/replay_record.hpp"

#include <fmt/format.h>

#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace milepost::tool {

// Shows a stored record as one to be replayed: with its headers, and with `mp.id`.
class StoredHead {
public:
    // `identity`: <gateway id>/<log id>, for `mp.id`; empty: none is added.
    StoredHead(const std::string& identity, const storage::TopicPartition& name)
        : id_stem_(
              identity.empty() ? "" : fmt::format("{}/{}-{}/", identity, name.topic, name.partition)
          ) {}

    // `name` and what `stored` is views of outlive `head`, which is valid until the next call.
    void show(
        const storage::StoredRecord& stored,
        const storage::TopicPartition& name,
        ReplayRecord& head
    ) {
        head = {
            .topic = name.topic,
            .partition = name.partition,
            .offset = stored.offset,
            .timestamp = stored.timestamp,
            .key = stored.key,
            .value = stored.value,
            .headers = {}};
        headers_.clear();
        storage::HeaderCursor cursor{stored};
        bool has_id = false;
        while (const auto header = cursor.next()) {
            headers_.push_back(*header);
            has_id = has_id || header->name == "mp.id";
        }
        if (!id_stem_.empty() && !has_id) {
            id_ = id_stem_;
            fmt::format_to(std::back_inserter(id_), "{}", stored.offset.value());
            headers_.push_back({.name = "mp.id", .value = as_bytes(id_)});
        }
        head.headers = headers_;
    }

private:
    std::string id_stem_;
    std::string id_;
    std::vector<storage::HeaderView> headers_;
};

}  // namespace milepost::tool
