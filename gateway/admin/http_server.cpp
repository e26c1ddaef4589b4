#include "gateway/admin/http_server.hpp"

#include "gateway/admin/api.hpp"
#include "storage/base/this_thread.hpp"
#include "storage/base/units.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include <atomic>
#include <chrono>
#include <list>
#include <thread>

namespace milepost::admin {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Tcp = asio::ip::tcp;

namespace {

constexpr std::size_t connections_max = 64;
constexpr std::size_t header_bytes_max = 8 * kib;
constexpr std::chrono::seconds read_timeout{30};  // of a request, and of the pause before it
constexpr std::chrono::seconds write_timeout{30};
constexpr std::chrono::milliseconds accept_pause{100};

using HttpRequest = http::request<http::empty_body>;
using HttpResponse = http::response<http::string_body>;

HttpResponse to_http(const HttpRequest& request, Response response) {
    HttpResponse out{static_cast<http::status>(response.status), request.version()};
    out.set(http::field::content_type, response.content_type);
    out.set(http::field::cache_control, "no-store");
    out.set("X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : response.headers)
        out.set(name, value);
    if (response.status == 405) out.set(http::field::allow, "GET, HEAD");
    out.keep_alive(request.keep_alive());
    const auto length = response.body.size();
    if (request.method() != http::verb::head) out.body() = std::move(response.body);
    out.content_length(length);
    return out;
}

unsigned status_of(const ErrorCode& error) {
    if (error == http::error::header_limit) return 431;
    if (error == http::error::unexpected_body || error == http::error::body_limit) return 413;
    return 400;
}

// The client is gone or too slow: there is nobody to answer.
bool is_silent(const ErrorCode& error) {
    return error.category() != http::make_error_code(http::error::bad_method).category() ||
           error == http::error::end_of_stream || error == http::error::partial_message;
}

}  // namespace

class HttpServer::Impl {
public:
    explicit Impl(Sources sources)
        : sources_(std::move(sources))
        , acceptor_(io_) {}

    ErrorCode bind(const std::string& address, std::uint16_t port) {
        ErrorCode error;
        const auto parsed = asio::ip::make_address(address, error);
        if (error) return error;
        const Tcp::endpoint endpoint{parsed, port};
        acceptor_.open(endpoint.protocol(), error);
        if (!error) acceptor_.set_option(Tcp::acceptor::reuse_address{true}, error);
        if (!error) acceptor_.bind(endpoint, error);
        if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
        return error;
    }

    [[nodiscard]] std::uint16_t port() const {
        ErrorCode ignored;
        return acceptor_.local_endpoint(ignored).port();
    }

    void start() {
        asio::co_spawn(io_, accept(), asio::detached);
        thread_ = std::jthread{[this] {
            this_thread::step_aside();  // it serves readers of history
            io_.run();
        }};
    }

    void stop() {
        io_.stop();
        if (thread_.joinable()) thread_.join();
    }

    void on_durable() {
        if (waiting_.load() == 0 || wake_posted_.exchange(true)) return;
        asio::post(io_, [this] {
            wake_posted_ = false;
            for (auto* timer : waiters_)
                timer->cancel();
        });
    }

private:
    asio::awaitable<void> accept() {
        while (true) {
            auto [error, socket] = co_await acceptor_.async_accept(
                asio::as_tuple(asio::use_awaitable)
            );
            if (error) {
                // Out of descriptors, most likely: it passes.
                asio::steady_timer pause{io_, accept_pause};
                co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
                continue;
            }
            if (connections_ >= connections_max) continue;  // closed
            ++connections_;
            asio::co_spawn(io_, serve(std::move(socket)), [this](const std::exception_ptr&) {
                --connections_;
            });
        }
    }

    asio::awaitable<void> serve(Tcp::socket socket) {
        beast::tcp_stream stream{std::move(socket)};
        beast::flat_buffer buffer{header_bytes_max};
        bool goes_on = true;
        while (goes_on) {
            http::request_parser<http::empty_body> parser;
            parser.header_limit(header_bytes_max);
            stream.expires_after(read_timeout);
            auto [error, bytes] = co_await http::async_read(
                stream,
                buffer,
                parser,
                asio::as_tuple(asio::use_awaitable)
            );
            if (error && is_silent(error)) break;
            Response response;
            if (error) {
                response = error_response(status_of(error), error.message());
            } else {
                auto pending = respond(parser.get());
                response = co_await std::move(pending);
            }
            auto out = to_http(parser.get(), std::move(response));
            goes_on = !error && out.keep_alive();
            out.keep_alive(goes_on);
            http::response_serializer<http::string_body> serializer{out};
            serializer.split(parser.get().method() == http::verb::head);
            stream.expires_after(write_timeout);
            const bool sent = co_await send(stream, serializer);
            goes_on = goes_on && sent;
        }
        ErrorCode ignored;
        stream.socket().shutdown(Tcp::socket::shutdown_both, ignored);
    }

    static asio::awaitable<bool> send(
        beast::tcp_stream& stream,
        http::response_serializer<http::string_body>& serializer
    ) {
        if (serializer.split()) {
            auto [error, bytes] = co_await http::async_write_header(
                stream,
                serializer,
                asio::as_tuple(asio::use_awaitable)
            );
            co_return !error;
        }
        auto [error, bytes] =
            co_await http::async_write(stream, serializer, asio::as_tuple(asio::use_awaitable));
        co_return !error;
    }

    asio::awaitable<Response> respond(const HttpRequest& request) {
        if (request.method() != http::verb::get && request.method() != http::verb::head) {
            co_return error_response(405, "only GET and HEAD");
        }
        const auto text = request.target();
        const auto target = parse_target(std::string_view{text.data(), text.size()});
        if (!target) co_return error_response(400, "no such request target");
        if (const auto wait = wait_of(sources_, *target)) {
            auto waiting = wait_for(*wait);
            co_await std::move(waiting);
        }
        co_return answer(sources_, *target, Moment{wall_now(), monotonic_now()});
    }

    asio::awaitable<void> wait_for(BatchWait wait) {
        const auto deadline = monotonic_now() + wait.wait_max;
        asio::steady_timer timer{io_};
        const Waiter registered{*this, timer};
        // Registered first: what becomes durable from here on wakes the timer.
        while (!is_over(sources_, wait) && monotonic_now() < deadline) {
            timer.expires_at(deadline);
            co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
        }
    }

    // Puts a timer among the waiting ones for as long as it lives.
    class Waiter {
    public:
        Waiter(Impl& impl, asio::steady_timer& timer)
            : impl_(&impl)
            , place_(impl.waiters_.insert(impl.waiters_.end(), &timer)) {
            ++impl.waiting_;
        }

        ~Waiter() {
            --impl_->waiting_;
            impl_->waiters_.erase(place_);
        }

        Waiter(const Waiter&) = delete;
        Waiter& operator=(const Waiter&) = delete;

    private:
        Impl* impl_;
        std::list<asio::steady_timer*>::iterator place_;
    };

    Sources sources_;
    std::list<asio::steady_timer*> waiters_;  // before io_: coroutines that it destroys are in it
    std::atomic<int> waiting_{0};
    std::atomic<bool> wake_posted_{false};
    std::size_t connections_ = 0;
    asio::io_context io_{1};
    Tcp::acceptor acceptor_;
    std::jthread thread_;
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}

HttpServer::~HttpServer() {
    impl_->stop();
}

Result<std::unique_ptr<HttpServer>> HttpServer::open(
    const std::string& address,
    std::uint16_t port,
    Sources sources
) {
    auto impl = std::make_unique<Impl>(std::move(sources));
    if (const auto error = impl->bind(address, port)) return error;
    return std::unique_ptr<HttpServer>{new HttpServer{std::move(impl)}};
}

void HttpServer::start() {
    impl_->start();
}

std::uint16_t HttpServer::port() const {
    return impl_->port();
}

void HttpServer::on_durable() {
    impl_->on_durable();
}

}  // namespace milepost::admin
