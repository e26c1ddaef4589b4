#include "gateway/admin/http_server.hpp"

#include "tests/support/matchers.hpp"
#include "tests/unit/gateway/admin/served_log.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>

#include <string>
#include <thread>

using namespace milepost;
using namespace milepost::admin;
using Tcp = boost::asio::ip::tcp;

namespace {

struct Served {
    test::ServedLog log;
    std::unique_ptr<HttpServer> server;

    Served() {
        auto opened = HttpServer::open(
            "127.0.0.1",
            0,
            Sources{
                .log = log,
                .version = "1",
                .gateway_id = "mp",
                .mqtt = [] { return MqttStatus{}; },
                .intake = [] { return IntakeStatus{}; },
                .upstream = {},
                .gaps = {},
                .degraded = {}}
        );
        REQUIRE(opened.has_value());
        server = std::move(*opened);
        server->start();
    }

    Tcp::socket connect() {
        Tcp::socket socket{io_};
        socket.connect({boost::asio::ip::address_v4::loopback(), server->port()});
        return socket;
    }

    // Sends bytes and reads until the server closes.
    std::string say(std::string_view bytes) {
        auto socket = connect();
        ErrorCode ignored;
        boost::asio::write(socket, boost::asio::buffer(bytes.data(), bytes.size()), ignored);
        std::string answer;
        boost::asio::read(socket, boost::asio::dynamic_buffer(answer), ignored);
        return answer;
    }

private:
    boost::asio::io_context io_;
};

std::string get(std::string_view target) {
    return "GET " + std::string{target} + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
}

}  // namespace

TEST_CASE("http: a page over a real socket", "[http]") {
    Served served;
    const auto answer = served.say(get("/healthz"));
    CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(answer.ends_with("\r\n\r\n{\"alive\":true}\n"));
}

TEST_CASE("http: HEAD has the length and no body", "[http]") {
    Served served;
    const auto answer = served.say("HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    );
    CHECK(answer.find("Content-Length: 15\r\n") != std::string::npos);
    CHECK(answer.ends_with("\r\n\r\n"));
}

TEST_CASE("http: two requests on one connection", "[http]") {
    Served served;
    const auto answer = served.say(
        "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + get("/api/v1/topics")
    );
    CHECK(answer.find("{\"alive\":true}") != std::string::npos);
    CHECK(answer.ends_with("{\"topics\":[]}\n"));
}

TEST_CASE("http: what is no request is refused and the connection closed", "[http]") {
    Served served;
    CHECK(served.say("POST / HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 405"));
    CHECK(served.say("GET % HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 400"));
    CHECK(served.say("\x16\x03\x01 nonsense\r\n\r\n").find(" 400 ") != std::string::npos);
    const std::string huge = "GET / HTTP/1.1\r\nX: " + std::string(20'000, 'a') + "\r\n\r\n";
    CHECK(served.say(huge).find(" 431 ") != std::string::npos);
    CHECK(
        served.say("GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello").find(" 413 ") !=
        std::string::npos
    );
    CHECK(served.say(get("/healthz")).starts_with("HTTP/1.1 200"));
}

TEST_CASE("http: a waiting request for batches is answered when something is durable", "[http]") {
    Served served;
    served.log.make_partition("t", 0);
    auto socket = served.connect();
    const auto request = get("/api/v1/batches?topic=t&partition=0&offset=0&wait_ms=30000");
    boost::asio::write(socket, boost::asio::buffer(request));
    served.log.put("t", 0, {{"key", "the value"}});
    std::string answer;
    ErrorCode ended;
    // Whether the request came before or after the put, it is woken or finds the batch.
    std::jthread waker{[&](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            served.server->on_durable();
            std::this_thread::yield();
        }
    }};
    boost::asio::read(socket, boost::asio::dynamic_buffer(answer), ended);
    CHECK(answer.find("X-Milepost-Next: 1\r\n") != std::string::npos);
    CHECK(answer.find("the value") != std::string::npos);
}

TEST_CASE("http: the server ends while somebody waits", "[http]") {
    Served served;
    served.log.make_partition("t", 0);
    auto socket = served.connect();
    const auto request = get("/api/v1/batches?topic=t&partition=0&offset=0&wait_ms=30000");
    boost::asio::write(socket, boost::asio::buffer(request));
    served.server.reset();
    SUCCEED("it did not hang");
}

TEST_CASE("http: a port that is taken is an error of bind", "[http]") {
    Served served;
    auto second = HttpServer::open(
        "127.0.0.1",
        served.server->port(),
        Sources{
            .log = served.log,
            .version = "",
            .gateway_id = "",
            .mqtt = {},
            .intake = {},
            .upstream = {},
            .gaps = {},
            .degraded = {}}
    );
    REQUIRE(second.has_error());
    CHECK(second.error() == boost::system::errc::address_in_use);
}
