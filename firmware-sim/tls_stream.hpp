#pragma once

#include "firmware-sim/input_file.hpp"
#include "firmware-sim/link.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct ssl_ctx_st;
struct ssl_st;

namespace milepost::fleet {

// Why a TLS connection failed: OpenSSL's code, and above it the one of the server's certificate.
// A plain number, so that an event can carry it; 0: not by TLS.
using TlsFailure = std::uint64_t;

// For the user, such as "certificate verify failed: hostname mismatch".
[[nodiscard]] std::string tls_failure_text(TlsFailure failure);

// True if trying again does not help: a certificate, a key or a protocol, not a lost connection.
[[nodiscard]] bool is_lasting(TlsFailure failure);

// What all connections of a fleet have in common. Shared, constant.
class TlsContext {
public:
    // Reads the files. An error names the one.
    [[nodiscard]] static Input<std::shared_ptr<const TlsContext>> make(const TlsSettings& settings);

    [[nodiscard]] ssl_ctx_st* get() const { return context_.get(); }

    // Whether the server's certificate has to be of the host that is dialled.
    [[nodiscard]] bool checks_host() const { return checks_host_; }

private:
    struct Free {
        void operator()(ssl_ctx_st* context) const;
    };

    TlsContext(std::unique_ptr<ssl_ctx_st, Free> context, bool checks_host)
        : context_(std::move(context))
        , checks_host_(checks_host) {}

    std::unique_ptr<ssl_ctx_st, Free> context_;
    bool checks_host_;
};

// One connection's TLS 1.2 or 1.3: bytes in, bytes out; knows no socket. The server's certificate
// has to be trusted and, unless the context says otherwise, to be of `host`, a name or an address.
class TlsStream {
public:
    TlsStream(const TlsContext& context, const std::string& host);

    // Moves what is to be said from `plain` to `wire`, and what the handshake has to say; before
    // the handshake is over `plain` waits. False: the connection is over; `wire` then still has
    // what the other side should know about it.
    [[nodiscard]] bool send(std::string& plain, std::string& wire);

    // Takes bytes from the wire and appends what they said to `plain`. False: it is over.
    [[nodiscard]] bool receive(std::string_view wire, std::string& plain);

    // Says that nothing more comes.
    void end(std::string& wire);

    [[nodiscard]] bool is_established() const;

    [[nodiscard]] TlsFailure failure() const { return failure_; }

private:
    [[nodiscard]] bool check(int result);
    void drain(std::string& wire);

    struct Free {
        void operator()(ssl_st* stream) const;
    };

    std::unique_ptr<ssl_st, Free> stream_;
    TlsFailure failure_ = 0;
};

// What a connection that ended during the handshake without a word ended by.
[[nodiscard]] TlsFailure closed_in_handshake();

}  // namespace milepost::fleet
