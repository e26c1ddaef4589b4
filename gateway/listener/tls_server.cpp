#include "gateway/listener/tls.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <utility>

namespace milepost::listener {

namespace {

template <auto free>
struct Freed {
    template <class T>
    void operator()(T* object) const {
        free(object);
    }
};

using Bio = std::unique_ptr<BIO, Freed<::BIO_free>>;
using Certificate = std::unique_ptr<X509, Freed<::X509_free>>;
using Crl = std::unique_ptr<X509_CRL, Freed<::X509_CRL_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<::EVP_PKEY_free>>;

constexpr const char* ciphers_1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20";

Bio reader_of(const std::string& text) {
    return Bio{::BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))};
}

// A key with a passphrase is refused, nobody is asked for it.
int no_passphrase(char*, int, int, void*) {
    return -1;
}

std::string last_reason() {
    const char* reason = ::ERR_reason_error_string(::ERR_peek_last_error());
    return reason == nullptr ? std::string{} : std::string{" ("} + reason + ")";
}

std::string use_certificate(SSL_CTX* context, const TlsMaterial::Certificate& material) {
    const Bio chain = reader_of(material.chain);
    const Certificate own{::PEM_read_bio_X509_AUX(chain.get(), nullptr, no_passphrase, nullptr)};
    if (!own) return "certificate: no PEM certificate in it" + last_reason();
    if (::SSL_CTX_use_certificate(context, own.get()) != 1) {
        return "certificate: cannot be used" + last_reason();
    }
    while (X509* next = ::PEM_read_bio_X509(chain.get(), nullptr, no_passphrase, nullptr)) {
        if (::SSL_CTX_add0_chain_cert(context, next) == 1) continue;
        ::X509_free(next);
        return "certificate: a certificate of its chain cannot be used" + last_reason();
    }
    const Bio key_reader = reader_of(material.key);
    const Key key{::PEM_read_bio_PrivateKey(key_reader.get(), nullptr, no_passphrase, nullptr)};
    if (!key) return "key: no PEM private key without a passphrase in it";
    if (::SSL_CTX_use_PrivateKey(context, key.get()) != 1 ||
        ::SSL_CTX_check_private_key(context) != 1) {
        return "key: does not belong to the certificate";
    }
    return {};
}

std::string trust_clients(SSL_CTX* context, const TlsMaterial& material) {
    X509_STORE* store = ::SSL_CTX_get_cert_store(context);
    const Bio authorities = reader_of(material.client_ca);
    std::size_t count = 0;
    while (const Certificate authority{
        ::PEM_read_bio_X509(authorities.get(), nullptr, no_passphrase, nullptr)}) {
        if (::X509_STORE_add_cert(store, authority.get()) != 1 ||
            ::SSL_CTX_add_client_CA(context, authority.get()) != 1) {
            return "client_ca: a certificate cannot be used" + last_reason();
        }
        ++count;
    }
    if (count == 0) return "client_ca: no PEM certificate in it";
    if (material.crl.empty()) return {};
    const Bio lists = reader_of(material.crl);
    count = 0;
    while (const Crl list{::PEM_read_bio_X509_CRL(lists.get(), nullptr, no_passphrase, nullptr)}) {
        if (::X509_STORE_add_crl(store, list.get()) != 1) {
            return "crl_file: a list cannot be used" + last_reason();
        }
        ++count;
    }
    if (count == 0) return "crl_file: no PEM certificate revocation list in it";
    ::X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return {};
}

std::string set_up(SSL_CTX* context, const TlsMaterial& material) {
    ::SSL_CTX_set_min_proto_version(context, material.only_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    ::SSL_CTX_set_cipher_list(context, ciphers_1_2);
    ::SSL_CTX_set_options(
        context,
        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
            SSL_OP_IGNORE_UNEXPECTED_EOF
    );
    ::SSL_CTX_set_mode(
        context,
        SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
    );
    ::SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    if (material.client_ca.empty()) return {};
    // A resumed session is not verified again: what was revoked since would come back with a
    // ticket.
    ::SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    ::SSL_CTX_set_num_tickets(context, 0);
    const int required = material.client_certificate_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
    ::SSL_CTX_set_verify(context, SSL_VERIFY_PEER | required, nullptr);
    return trust_clients(context, material);
}

int choose_certificate(SSL* ssl, int*, void* server) {
    const char* host = ::SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (host == nullptr) return SSL_TLSEXT_ERR_NOACK;
    SSL_CTX* context = static_cast<const TlsServer*>(server)->find(host);
    if (context == nullptr) return SSL_TLSEXT_ERR_NOACK;
    ::SSL_set_SSL_CTX(ssl, context);
    return SSL_TLSEXT_ERR_OK;
}

}  // namespace

void TlsServer::Free::operator()(ssl_ctx_st* context) const {
    ::SSL_CTX_free(context);
}

TlsServer::~TlsServer() = default;

std::variant<std::shared_ptr<const TlsServer>, std::string> TlsServer::make(
    const TlsMaterial& material
) {
    const std::shared_ptr<TlsServer> server{new TlsServer};
    server->user_from_ = material.user_from;
    for (const auto& certificate : material.certificates) {
        ::ERR_clear_error();
        server->contexts_.emplace_back(::SSL_CTX_new(::TLS_server_method()));
        SSL_CTX* context = server->contexts_.back().get();
        if (context == nullptr) return "OpenSSL cannot be used" + last_reason();
        std::string problem = set_up(context, material);
        if (problem.empty()) problem = use_certificate(context, certificate);
        ::ERR_clear_error();
        if (!problem.empty()) return problem;
    }
    if (server->contexts_.empty()) return "certificate: must be given";
    if (server->contexts_.size() > 1) {
        // What OpenSSL's macro does, without its C cast.
        ::SSL_CTX_callback_ctrl(
            server->first(),
            SSL_CTRL_SET_TLSEXT_SERVERNAME_CB,
            reinterpret_cast<void (*)()>(choose_certificate)
        );
        ::SSL_CTX_set_tlsext_servername_arg(server->first(), server.get());
    }
    return server;
}

ssl_ctx_st* TlsServer::find(const std::string& host) const {
    for (const auto& context : contexts_) {
        X509* certificate = ::SSL_CTX_get0_certificate(context.get());
        if (::X509_check_host(certificate, host.data(), host.size(), 0, nullptr) == 1) {
            return context.get();
        }
    }
    return nullptr;
}

}  // namespace milepost::listener
