#pragma once

#include "gateway/tool/host_port.hpp"
#include "storage/base/bytes.hpp"
#include "storage/base/time.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace milepost::tool {

struct TransportOptions {
    HostPort address{};
    bool is_tls = false;
    std::string ca_file{};           // empty: the system's
    std::string certificate_file{};  // empty: none
    std::string key_file{};
};

// Bytes to and from one broker over TCP or TLS, certificate and host name checked. What goes wrong
// comes back in words; the connection is closed then. Thread: one.
class MqttConnection {
public:
    // A Failure if the certificates cannot be read.
    explicit MqttConnection(TransportOptions options);
    MqttConnection(const MqttConnection&) = delete;
    MqttConnection& operator=(const MqttConnection&) = delete;
    ~MqttConnection();

    // Blocks for at most `wait_max`.
    [[nodiscard]] std::optional<std::string> open(Duration wait_max);
    // What was not sent is lost.
    void close();
    [[nodiscard]] bool is_open() const;

    // Appended to what is to be sent; `bytes` is empty afterwards.
    void send(Buffer& bytes);

    // Sends and receives what is possible; waits for something to happen for at most `wait_max`.
    [[nodiscard]] std::optional<std::string> turn(
        Duration wait_max,
        const std::function<void(Bytes)>& on_bytes
    );

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace milepost::tool
