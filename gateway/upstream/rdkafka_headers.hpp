#pragma once

#include "storage/format/record.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

struct rd_kafka_headers_s;
struct rd_kafka_message_s;

// librdkafka's lists of headers. Only for rdkafka_*.cpp of this room.
namespace milepost::upstream {

struct DestroyHeaders {
    void operator()(rd_kafka_headers_s* headers) const;
};

using HeadersHandle = std::unique_ptr<rd_kafka_headers_s, DestroyHeaders>;

// Makes lists. Those of messages that were reported are used again, where names and lengths are the
// same: a list costs more memory calls than the rest of a message. librdkafka shows a list's names
// without their lengths: once one held a NUL, none is used again. Thread: one.
class HeaderLists {
public:
    // So many at most wait to be used again.
    explicit HeaderLists(std::size_t kept_max)
        : kept_max_(kept_max) {}

    // nullptr: there are none.
    [[nodiscard]] HeadersHandle make(std::span<const storage::HeaderView> headers);
    // The message keeps everything else.
    void take_back(const rd_kafka_message_s& reported);
    void keep(HeadersHandle list);

    [[nodiscard]] std::size_t kept() const { return kept_.size(); }

private:
    std::size_t kept_max_;
    std::vector<HeadersHandle> kept_;
};

}  // namespace milepost::upstream
