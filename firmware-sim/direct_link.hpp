#pragma once

#include "firmware-sim/client_session.hpp"
#include "firmware-sim/link.hpp"
#include "firmware-sim/network.hpp"
#include "firmware-sim/tls_stream.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace milepost::fleet {

// A vehicle's connection by the fleet's own few lines of MQTT: a socket in the fleet's thread and
// no more, so that ten thousand fit one process. Why not Paho: see README.md. What it promises is
// what PahoLink promises, and the same tests ask for it.
class DirectLink final : public Link, private NetworkClient {
public:
    // `network`, `settings` and `tls` outlive the link. `vehicle` is the index that the events
    // carry. `tls`: nullptr for a plain connection.
    DirectLink(
        Network& network,
        const LinkSettings& settings,
        std::uint32_t vehicle,
        const LinkIdentity& identity,
        const TlsContext* tls = nullptr
    );
    ~DirectLink() override;

    void connect() override;
    bool publish(std::uint64_t seq, const std::string& payload) override;
    void disconnect() override;
    void abandon() override;
    void cut() override;

    void step(const LinkEvent& /*answer*/) override {}

private:
    enum class Phase : std::uint8_t { closed, dialling, waiting, open, leaving };

    void on_ready(bool is_readable, bool is_writable, Instant now) override;
    void on_look(Instant now) override;
    void begin(Instant now);
    [[nodiscard]] bool read(Instant now);
    [[nodiscard]] bool take(std::string_view bytes);
    [[nodiscard]] bool flush(Instant now);
    [[nodiscard]] bool write(std::string& bytes, Instant now);
    void fail();
    void close();
    void post_all(Instant now);

    Network* network_;
    std::uint32_t vehicle_;
    const std::string* host_;
    const TlsContext* tls_context_;
    std::optional<TlsStream> tls_;  // while there is a connection
    ClientSession session_;
    Phase phase_ = Phase::closed;
    int fd_ = -1;
    std::size_t address_ = 0;  // the network's number of it
    bool is_watching_writing_ = false;
    std::string unsent_;  // what the socket has not taken yet; at most what is in flight
    std::string wire_;    // the same, encrypted
    std::vector<LinkEvent> events_;
    Instant began_{};          // dialling
    Instant last_sent_{};      // anything
    Instant last_received_{};  // anything
};

}  // namespace milepost::fleet
