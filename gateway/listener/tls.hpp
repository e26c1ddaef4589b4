#pragma once

#include "storage/base/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

struct ssl_st;
struct ssl_ctx_st;

// TLS 1.2 and 1.3 as a transform of bytes behind a connection. OpenSSL stands behind tls*.cpp. The
// process ignores SIGPIPE.
namespace milepost::listener {

// Which name of a client certificate is the user.
enum class CertificateName : std::uint8_t { none, cn, san_dns, san_uri, san_email };

// All texts are PEM.
struct TlsMaterial {
    struct Certificate {
        std::string chain;  // the server's own first
        std::string key;    // not encrypted
    };

    // Which one a client gets is decided by the name it asks for (SNI); else the first.
    std::vector<Certificate> certificates;
    std::string client_ca;  // empty: no client certificate is asked for
    std::string crl;        // of every authority in a client's chain; empty: nothing is revoked
    bool client_certificate_required = false;
    bool only_1_3 = false;
    CertificateName user_from = CertificateName::none;
};

// What is the same for all connections of an endpoint. Immutable.
class TlsServer : public std::enable_shared_from_this<TlsServer> {
public:
    // Or what is wrong, in one line, without what stands in the material.
    static std::variant<std::shared_ptr<const TlsServer>, std::string> make(
        const TlsMaterial& material
    );
    ~TlsServer();
    TlsServer(const TlsServer&) = delete;
    TlsServer& operator=(const TlsServer&) = delete;

    [[nodiscard]] ssl_ctx_st* first() const { return contexts_.front().get(); }

    // The context whose certificate is for that host name; nullptr: none.
    [[nodiscard]] ssl_ctx_st* find(const std::string& host) const;

    [[nodiscard]] CertificateName user_from() const { return user_from_; }

private:
    struct Free {
        void operator()(ssl_ctx_st* context) const;
    };

    TlsServer() = default;

    std::vector<std::unique_ptr<ssl_ctx_st, Free>> contexts_;
    CertificateName user_from_ = CertificateName::none;
};

// One connection's TLS on a socket that does not block. Thread: the connection's.
class TlsStream {
public:
    enum class Step : std::uint8_t { done, wants_read, wants_write, failed };

    // The socket stays the caller's.
    TlsStream(std::shared_ptr<const TlsServer> server, int socket);
    ~TlsStream();
    TlsStream(const TlsStream&) = delete;
    TlsStream& operator=(const TlsStream&) = delete;

    // The next step of the handshake; again when the socket is ready for it.
    Step handshake();
    // Why it failed, for a person.
    [[nodiscard]] std::string failure() const;

    // What the client's certificate, which was verified, calls it: empty where it has no such name.
    // nullopt: it sent none.
    [[nodiscard]] std::optional<std::string> certificate_user() const;

    // How many bytes came, 0 if none are there now. nullopt: it is over.
    std::optional<std::size_t> read(MutableBytes to);
    // How many bytes of `bytes`, which is not empty, were taken. What was not is offered again, the
    // same bytes at the front. nullopt: it is broken.
    std::optional<std::size_t> write(Bytes bytes);
    // Input that the socket will not announce.
    [[nodiscard]] bool has_more() const;
    // Tells the other side that nothing more comes, if there is room for it.
    void close();

private:
    struct Free {
        void operator()(ssl_st* ssl) const;
    };

    std::shared_ptr<const TlsServer> server_;
    std::unique_ptr<ssl_st, Free> ssl_;
    bool is_open_ = false;  // the handshake is done and nothing has failed since
};

}  // namespace milepost::listener
