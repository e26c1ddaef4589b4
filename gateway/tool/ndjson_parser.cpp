#include "gateway/tool/base64.hpp"
#include "gateway/tool/export_format.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <limits>
#include <stdexcept>

namespace milepost::tool {

namespace {

using nlohmann::json;

struct Wrong : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// `name` or `name_base64`. False: it is null.
bool take_bytes(const json& object, const std::string& name, std::string& to) {
    const auto text = object.find(name);
    const auto coded = object.find(name + "_base64");
    if ((text == object.end()) == (coded == object.end())) {
        throw Wrong{"needs one of " + name + " and " + name + "_base64"};
    }
    if (text != object.end()) {
        if (text->is_null()) return false;
        if (!text->is_string()) throw Wrong{name + " is no text and not null"};
        to = text->get_ref<const std::string&>();
        return true;
    }
    if (!coded->is_string()) throw Wrong{name + "_base64 is no text"};
    const auto bytes = decode_base64(coded->get_ref<const std::string&>());
    if (!bytes) throw Wrong{name + "_base64 is no base64"};
    to.assign(as_text(*bytes));
    return true;
}

std::int64_t take_number(const json& object, const char* name, std::int64_t from, std::int64_t to) {
    const auto found = object.find(name);
    const bool fits = found != object.end() && found->is_number_integer() &&
                      !(found->is_number_unsigned() &&
                        found->get<std::uint64_t>() > std::uint64_t{INT64_MAX});
    if (!fits) throw Wrong{std::string{name} + " is no whole number"};
    const auto number = found->get<std::int64_t>();
    if (number < from || number > to) throw Wrong{std::string{name} + " is out of range"};
    return number;
}

void take_headers(const json& object, std::vector<std::string>& texts) {
    const auto headers = object.find("headers");
    if (headers == object.end()) return;
    if (!headers->is_array()) throw Wrong{"headers is no array"};
    for (const auto& header : *headers) {
        if (!header.is_object()) throw Wrong{"a header is no object"};
        if (!take_bytes(header, "name", texts.emplace_back())) throw Wrong{"a header has no name"};
        take_bytes(header, "value", texts.emplace_back());
    }
}

}  // namespace

const ReplayRecord* NdjsonParser::parse(std::string_view line, std::string& problem) {
    try {
        const auto object = json::parse(line);
        if (!object.is_object()) throw Wrong{"is no JSON object"};
        if (!take_bytes(object, "topic", topic_)) throw Wrong{"topic is null"};
        if (topic_.empty()) throw Wrong{"topic is empty"};
        record_.topic = topic_;
        record_.partition = static_cast<std::int32_t>(
            take_number(object, "partition", 0, std::numeric_limits<std::int32_t>::max())
        );
        record_.offset = storage::Offset{take_number(object, "offset", 0, INT64_MAX - 1)};
        record_.timestamp = Timestamp{take_number(object, "timestamp", -1, std::int64_t{1} << 53U)};
        key_.is_null = !take_bytes(object, "key", key_.bytes);
        value_.is_null = !take_bytes(object, "value", value_.bytes);
        header_texts_.clear();
        take_headers(object, header_texts_);
    } catch (const Wrong& wrong) {
        problem = wrong.what();
        return nullptr;
    } catch (const json::exception&) {
        problem = "is no JSON";
        return nullptr;
    }
    const auto view = [](const Text& text) {
        return text.is_null ? std::nullopt : std::optional{as_bytes(text.bytes)};
    };
    record_.key = view(key_);
    record_.value = view(value_);
    headers_.clear();
    for (std::size_t i = 0; i < header_texts_.size(); i += 2) {
        headers_.push_back({.name = header_texts_[i], .value = as_bytes(header_texts_[i + 1])});
    }
    record_.headers = headers_;
    return &record_;
}

}  // namespace milepost::tool
