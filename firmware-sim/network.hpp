#pragma once

#include "firmware-sim/inbox.hpp"
#include "storage/base/result.hpp"
#include "storage/base/time.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <sys/socket.h>

namespace milepost::fleet {

// A socket that belongs to a vehicle.
class NetworkClient {
public:
    NetworkClient() = default;
    NetworkClient(const NetworkClient&) = delete;
    NetworkClient& operator=(const NetworkClient&) = delete;
    virtual ~NetworkClient() = default;

    // The socket has something to read, room to write, or an error.
    virtual void on_ready(bool is_readable, bool is_writable, Instant now) = 0;

    // Every Network::look_every: is there something to say, or has the other side been silent for
    // too long?
    virtual void on_look(Instant now) = 0;
};

// The sockets of many vehicles in one thread, the fleet's: one epoll set, in which the inbox waits.
class Network final : public Source {
public:
    static constexpr std::chrono::seconds look_every{1};
    static constexpr std::chrono::seconds resolve_every{2};

    // `inbox` outlives the network, and is told to wait for it.
    // Throws std::system_error if the system has no descriptor left.
    Network(Inbox& inbox, std::string host, std::uint16_t port);
    Network(const Network&) = delete;
    Network& operator=(const Network&) = delete;
    ~Network() override;

    // The clients, which end before the network.
    void add(NetworkClient& client) { clients_.push_back(&client); }

    void remove(NetworkClient& client);

    struct Dialled {
        int fd;               // the caller's to close
        std::size_t address;  // which of the host's
    };

    // A socket that is on its way to the gateway, watched for `client`. The host's name is resolved
    // at the first call and again, once in resolve_every, after failures; that may take as long as
    // the resolver does.
    [[nodiscard]] Result<Dialled> dial(NetworkClient& client);

    // That address did not answer: the next dial() takes another one.
    void note_failure(std::size_t address);

    // Whether on_ready() is called when there is room to write.
    void watch_writing(int fd, NetworkClient& client, bool is_wanted) const;

    void post(const LinkEvent& event) { inbox_->post(event); }

    [[nodiscard]] int descriptor() const override { return epoll_; }

    [[nodiscard]] Instant next_turn() const override { return next_look_; }

    void turn(Instant now) override;

private:
    struct Address {
        sockaddr_storage bytes{};
        socklen_t size = 0;
    };

    void resolve();

    Inbox* inbox_;
    std::string host_;
    std::uint16_t port_;
    int epoll_;
    std::vector<Address> addresses_;
    std::size_t address_ = 0;  // the one to dial
    bool has_failed_ = true;   // since the name was resolved
    Instant resolve_after_{};
    std::vector<NetworkClient*> clients_;
    Instant next_look_{};
};

// Raises this process's limit of open files to what `count` vehicles need. False if the system does
// not let it.
[[nodiscard]] bool allow_sockets(std::size_t count);

}  // namespace milepost::fleet
