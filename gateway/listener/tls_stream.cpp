#include "gateway/access/identity.hpp"
#include "gateway/listener/tls.hpp"
#include "gateway/mqtt/utf8.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cerrno>
#include <new>
#include <utility>

namespace milepost::listener {

namespace {

// What may be a user's name; nothing else is one.
std::string checked(const unsigned char* text, int length) {
    if (text == nullptr || length <= 0) return {};
    std::string name{reinterpret_cast<const char*>(text), static_cast<std::size_t>(length)};
    if (name.size() > access::user_bytes_max || !mqtt::is_utf8(name)) return {};
    return name;
}

// The last, which is the most specific one.
std::string common_name(X509* certificate) {
    const X509_NAME* subject = ::X509_get_subject_name(certificate);
    int last = -1;
    for (int at = -1; (at = ::X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0;)
        last = at;
    if (last < 0) return {};
    const ASN1_STRING* text = ::X509_NAME_ENTRY_get_data(::X509_NAME_get_entry(subject, last));
    unsigned char* utf8 = nullptr;
    const int length = ::ASN1_STRING_to_UTF8(&utf8, text);
    std::string name = checked(utf8, length);
    ::OPENSSL_free(utf8);
    return name;
}

// The first alternative name of that type.
std::string alternative_name(X509* certificate, int type) {
    auto* names = static_cast<GENERAL_NAMES*>(
        ::X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)
    );
    if (names == nullptr) return {};
    // What OpenSSL's typed macros do, without their C casts.
    const auto* all = reinterpret_cast<const OPENSSL_STACK*>(names);
    std::string name;
    for (int i = 0; i < ::OPENSSL_sk_num(all) && name.empty(); ++i) {
        int found = 0;
        const void* value = ::GENERAL_NAME_get0_value(
            static_cast<const GENERAL_NAME*>(::OPENSSL_sk_value(all, i)),
            &found
        );
        if (found != type) continue;
        const auto* text = static_cast<const ASN1_STRING*>(value);
        name = checked(::ASN1_STRING_get0_data(text), ::ASN1_STRING_length(text));
    }
    ::GENERAL_NAMES_free(names);
    return name;
}

int clamped(std::size_t bytes) {
    constexpr std::size_t int_max = 0x7FFFFFFF;
    return static_cast<int>(bytes < int_max ? bytes : int_max);
}

}  // namespace

void TlsStream::Free::operator()(ssl_st* ssl) const {
    ::SSL_free(ssl);
}

TlsStream::TlsStream(std::shared_ptr<const TlsServer> server, int socket)
    : server_(std::move(server))
    , ssl_(::SSL_new(server_->first())) {
    if (!ssl_ || ::SSL_set_fd(ssl_.get(), socket) != 1) throw std::bad_alloc{};
    ::SSL_set_accept_state(ssl_.get());
}

TlsStream::~TlsStream() = default;

TlsStream::Step TlsStream::handshake() {
    ::ERR_clear_error();
    const int result = ::SSL_do_handshake(ssl_.get());
    if (result == 1) {
        is_open_ = true;
        return Step::done;
    }
    switch (::SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_WANT_READ: return Step::wants_read;
        case SSL_ERROR_WANT_WRITE: return Step::wants_write;
        default: return Step::failed;
    }
}

std::string TlsStream::failure() const {
    const long verified = ::SSL_get_verify_result(ssl_.get());
    if (verified != X509_V_OK) {
        return std::string{"client certificate: "} + ::X509_verify_cert_error_string(verified);
    }
    const char* reason = ::ERR_reason_error_string(::ERR_peek_last_error());
    return reason == nullptr ? "the client has gone" : reason;
}

std::optional<std::string> TlsStream::certificate_user() const {
    X509* certificate = ::SSL_get0_peer_certificate(ssl_.get());
    if (certificate == nullptr) return std::nullopt;
    switch (server_->user_from()) {
        case CertificateName::none: break;
        case CertificateName::cn: return common_name(certificate);
        case CertificateName::san_dns: return alternative_name(certificate, GEN_DNS);
        case CertificateName::san_uri: return alternative_name(certificate, GEN_URI);
        case CertificateName::san_email: return alternative_name(certificate, GEN_EMAIL);
    }
    return std::string{};
}

std::optional<std::size_t> TlsStream::read(MutableBytes to) {
    std::size_t got = 0;
    while (got < to.size()) {
        ::ERR_clear_error();
        const auto room = to.subspan(got);
        const int bytes = ::SSL_read(ssl_.get(), room.data(), clamped(room.size()));
        if (bytes > 0) {
            got += static_cast<std::size_t>(bytes);
            continue;
        }
        const int error = ::SSL_get_error(ssl_.get(), bytes);
        // A key update waits for room to be answered in: the next write brings it along.
        if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) break;
        if (error != SSL_ERROR_ZERO_RETURN) is_open_ = false;
        if (got == 0) return std::nullopt;
        break;  // what came before the end counts; the next call says that it is over
    }
    return got;
}

std::optional<std::size_t> TlsStream::write(Bytes bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
        ::ERR_clear_error();
        const auto rest = bytes.subspan(sent);
        const int taken = ::SSL_write(ssl_.get(), rest.data(), clamped(rest.size()));
        if (taken > 0) {
            sent += static_cast<std::size_t>(taken);
            continue;
        }
        const int error = ::SSL_get_error(ssl_.get(), taken);
        if (error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ) break;
        is_open_ = false;
        return std::nullopt;
    }
    return sent;
}

bool TlsStream::has_more() const {
    return ::SSL_pending(ssl_.get()) > 0;
}

void TlsStream::close() {
    if (!is_open_) return;
    ::ERR_clear_error();
    static_cast<void>(::SSL_shutdown(ssl_.get()));
    is_open_ = false;
}

}  // namespace milepost::listener
