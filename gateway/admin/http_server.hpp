#pragma once

#include "gateway/admin/sources.hpp"
#include "storage/base/result.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace milepost::admin {

// Serves the pages of api.hpp over HTTP/1.1 on a thread of its own. Hostile clients are bounded:
// connections, header bytes and times are limited, bodies are refused.
class HttpServer {
public:
    // Binds and listens; requests wait until start(). Errors are those of bind.
    static Result<std::unique_ptr<HttpServer>> open(
        const std::string& address,
        std::uint16_t port,
        Sources sources
    );
    // Cuts all connections and ends the thread.
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    void start();
    // The port that is bound, for port 0.
    [[nodiscard]] std::uint16_t port() const;
    // Durable moved: wakes requests for batches that wait. Any thread; quick, allocates only while
    // somebody waits.
    void on_durable();

private:
    class Impl;
    explicit HttpServer(std::unique_ptr<Impl> impl);

    std::unique_ptr<Impl> impl_;
};

}  // namespace milepost::admin
