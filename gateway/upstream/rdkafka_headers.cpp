#include "gateway/upstream/rdkafka_headers.hpp"

#include <librdkafka/rdkafka.h>

#include <cstring>
#include <string_view>
#include <utility>

namespace milepost::upstream {

namespace {

// Writes over the values of a list that is nobody else's. False: it has another form, and is
// spoilt.
bool refill(rd_kafka_headers_t* list, std::span<const storage::HeaderView> headers) {
    if (rd_kafka_header_cnt(list) != headers.size()) return false;
    for (std::size_t i = 0; i < headers.size(); ++i) {
        const char* name = nullptr;
        const void* value = nullptr;
        std::size_t bytes = 0;
        const auto& header = headers[i];
        const auto got = rd_kafka_header_get_all(list, i, &name, &value, &bytes);
        const bool is_alike = got == RD_KAFKA_RESP_ERR_NO_ERROR && header.name == name &&
                              header.value.size() == bytes;
        if (!is_alike) return false;
        if (bytes == 0) continue;
        // The list's own copy, of which it only shows that it is not to be freed.
        // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast)
        std::memcpy(const_cast<void*>(value), header.value.data(), bytes);
    }
    return true;
}

}  // namespace

void DestroyHeaders::operator()(rd_kafka_headers_s* headers) const {
    rd_kafka_headers_destroy(headers);
}

HeadersHandle HeaderLists::make(std::span<const storage::HeaderView> headers) {
    if (headers.empty()) return nullptr;
    if (!kept_.empty()) {
        auto list = std::move(kept_.back());
        kept_.pop_back();
        if (refill(list.get(), headers)) return list;
    }
    HeadersHandle list{rd_kafka_headers_new(headers.size())};
    for (const auto& header : headers) {
        if (header.name.find('\0') != std::string_view::npos) {
            kept_max_ = 0;
            kept_.clear();
        }
        rd_kafka_header_add(
            list.get(),
            header.name.data(),
            static_cast<ssize_t>(header.name.size()),
            header.value.empty() ? static_cast<const void*>("") : header.value.data(),
            static_cast<ssize_t>(header.value.size())
        );
    }
    return list;
}

void HeaderLists::take_back(const rd_kafka_message_s& reported) {
    if (kept_.size() >= kept_max_) return;
    rd_kafka_headers_t* list = nullptr;
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast)
    auto* const message = const_cast<rd_kafka_message_t*>(&reported);
    if (rd_kafka_message_detach_headers(message, &list) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
    keep(HeadersHandle{list});
}

void HeaderLists::keep(HeadersHandle list) {
    if (kept_.size() < kept_max_) kept_.push_back(std::move(list));
}

}  // namespace milepost::upstream
