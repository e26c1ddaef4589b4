#pragma once

#include "gateway/tool/host_port.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace milepost::tool {

struct HttpReply {
    unsigned status = 0;
    std::string body;
    std::map<std::string, std::string, std::less<>> headers;  // names in lower case

    // The header as a number; a Failure if it is missing or none.
    [[nodiscard]] std::int64_t number(std::string_view header) const;
};

// GETs from one gateway over a connection that is kept and made again when it broke. Blocks, within
// a time limit. Not being able to reach it is a Failure (exit_unavailable).
class HttpClient {
public:
    // `url`: http://HOST[:PORT][/]; anything else is a Failure (exit_usage).
    explicit HttpClient(std::string_view url);
    ~HttpClient();
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    HttpReply get(const std::string& target);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// `text` as a part of a query: RFC 3986, 2.1.
[[nodiscard]] std::string percent_encode(std::string_view text);

// A Failure (exit_usage) if it is none.
[[nodiscard]] HostPort parse_url(std::string_view url);

}  // namespace milepost::tool
