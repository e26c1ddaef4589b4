#include "gateway/tool/http_client.hpp"

#include "gateway/tool/failure.hpp"
#include "storage/base/result.hpp"
#include "storage/base/units.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <optional>

namespace milepost::tool {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using Tcp = boost::asio::ip::tcp;

namespace {

constexpr std::size_t body_bytes_max = 64 * mib;
constexpr std::chrono::seconds reply_timeout{60};  // over the longest wait for batches

bool is_unreserved(char letter) {
    return std::isalnum(static_cast<unsigned char>(letter)) != 0 || letter == '-' ||
           letter == '.' || letter == '_' || letter == '~';
}

}  // namespace

struct HttpClient::Impl {
    HostPort address;
    std::string url;
    boost::asio::io_context io{1};
    std::optional<beast::tcp_stream> stream;
    beast::flat_buffer buffer;

    // Runs one asynchronous operation to its end: synchronous ones have no time limit.
    template <class Start>
    ErrorCode run(Start start) {
        std::optional<ErrorCode> outcome;
        io.restart();
        start([&](const ErrorCode& error, const auto&...) { outcome = error; });
        io.run();
        return outcome.value_or(boost::asio::error::operation_aborted);
    }

    ErrorCode connect() {
        ErrorCode error;
        Tcp::resolver resolver{io};
        const auto found = resolver.resolve(address.host, address.port, error);
        if (error) return error;
        buffer.clear();
        stream.emplace(io);
        stream->expires_after(reply_timeout);
        return run([&](auto done) { stream->async_connect(found, std::move(done)); });
    }

    ErrorCode exchange(const http::request<http::empty_body>& request, HttpReply& reply) {
        if (!stream) {
            if (const auto error = connect()) return error;
        }
        stream->expires_after(reply_timeout);
        auto error = run([&](auto done) { http::async_write(*stream, request, std::move(done)); });
        http::response_parser<http::string_body> parser;
        parser.body_limit(body_bytes_max);
        if (!error) {
            error = run([&](auto done) {
                http::async_read(*stream, buffer, parser, std::move(done));
            });
        }
        if (error) {
            stream.reset();
            return error;
        }
        auto& message = parser.get();
        reply.status = message.result_int();
        reply.headers.clear();
        for (const auto& field : message) {
            std::string name{field.name_string()};
            std::ranges::transform(name, name.begin(), [](unsigned char letter) {
                return static_cast<char>(std::tolower(letter));
            });
            reply.headers.insert_or_assign(std::move(name), std::string{field.value()});
        }
        reply.body = std::move(message.body());
        if (!message.keep_alive()) stream.reset();
        return {};
    }
};

std::int64_t HttpReply::number(std::string_view header) const {
    std::int64_t value = 0;
    const auto found = headers.find(header);
    if (found != headers.end()) {
        const auto& text = found->second;
        const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (failed == std::errc{} && end == text.data() + text.size()) return value;
    }
    throw Failure{exit_run_time, fmt::format("the gateway's answer has no {}", header)};
}

HostPort parse_url(std::string_view url) {
    const auto refuse = [&](std::string_view why) {
        return Failure{exit_usage, fmt::format("--url {}: {}", url, why)};
    };
    constexpr std::string_view scheme = "http://";
    auto rest = url;
    if (!rest.starts_with(scheme)) throw refuse("want http://HOST:PORT");
    rest.remove_prefix(scheme.size());
    if (rest.ends_with('/')) rest.remove_suffix(1);
    std::string problem;
    auto address = parse_host_port(rest, "80", problem);
    if (!address) throw refuse(problem);
    return *address;
}

HttpClient::HttpClient(std::string_view url)
    : impl_(std::make_unique<Impl>()) {
    impl_->address = parse_url(url);
    impl_->url = url;
}

HttpClient::~HttpClient() = default;

HttpReply HttpClient::get(const std::string& target) {
    http::request<http::empty_body> request{http::verb::get, target, 11};
    request.set(http::field::host, impl_->address.host);
    request.set(http::field::user_agent, "milepost");
    HttpReply reply;
    const bool was_kept = impl_->stream.has_value();
    auto error = impl_->exchange(request, reply);
    // The gateway may have closed a kept connection in the meantime.
    if (error && was_kept) error = impl_->exchange(request, reply);
    if (error) {
        throw Failure{
            exit_unavailable,
            fmt::format("no gateway answers at {}: {}", impl_->url, error.message())};
    }
    return reply;
}

std::string percent_encode(std::string_view text) {
    std::string out;
    for (const char letter : text) {
        if (is_unreserved(letter)) {
            out += letter;
        } else {
            out += fmt::format("%{:02X}", static_cast<unsigned char>(letter));
        }
    }
    return out;
}

}  // namespace milepost::tool
