#include "firmware-sim/tls_stream.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <filesystem>
#include <new>
#include <system_error>
#include <utility>

namespace milepost::fleet {

namespace {

constexpr std::size_t piece_bytes = 16'384;
constexpr int verify_shift = 32;
constexpr TlsFailure code_mask = 0xffffffff;

std::string reason_of(unsigned long code) {
    if (ERR_SYSTEM_ERROR(code)) return std::generic_category().message(ERR_GET_REASON(code));
    // Its words are loaded with the first context otherwise.
    OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, nullptr);
    const char* const reason = ERR_reason_error_string(code);
    return reason != nullptr ? reason : "OpenSSL's error " + std::to_string(code);
}

// The oldest one is the cause; the others say who called whom.
std::string last_reason() {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    return code != 0 ? reason_of(code) : "no reason given";
}

// No terminal to ask at: an encrypted key is an error, not a question that nobody sees.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*is_writing*/, void* /*data*/) {
    return -1;
}

// What is wrong with the trusted certificates; empty if nothing.
std::string load_trust(ssl_ctx_st* context, const TlsSettings& settings) {
    if (settings.uses_system_trust()) {
        if (SSL_CTX_set_default_verify_paths(context) == 1) return {};
        return "the system's certificates: " + last_reason();
    }
    if (!settings.ca_file.empty() &&
        SSL_CTX_load_verify_file(context, settings.ca_file.c_str()) != 1) {
        return settings.ca_file + ": " + last_reason();
    }
    // OpenSSL looks into the folder when it needs it, and is silent if there is none.
    std::error_code ignored;
    if (!settings.ca_path.empty() && !std::filesystem::is_directory(settings.ca_path, ignored)) {
        return settings.ca_path + ": is no folder";
    }
    if (!settings.ca_path.empty() &&
        SSL_CTX_load_verify_dir(context, settings.ca_path.c_str()) != 1) {
        return settings.ca_path + ": " + last_reason();
    }
    return {};
}

// The same for the client's own certificate.
std::string load_certificate(ssl_ctx_st* context, const TlsSettings& settings) {
    if (settings.certificate.empty()) return {};
    if (SSL_CTX_use_certificate_chain_file(context, settings.certificate.c_str()) != 1) {
        return settings.certificate + ": " + last_reason();
    }
    // Compares the two as well.
    if (SSL_CTX_use_PrivateKey_file(context, settings.key.c_str(), SSL_FILETYPE_PEM) != 1) {
        return settings.key + ": " + last_reason();
    }
    return {};
}

}  // namespace

std::string tls_failure_text(TlsFailure failure) {
    const std::string reason = reason_of(failure & code_mask);
    const auto verify = static_cast<long>(failure >> verify_shift);
    return verify == X509_V_OK ? reason : reason + ": " + X509_verify_cert_error_string(verify);
}

TlsFailure closed_in_handshake() {
    return ERR_PACK(ERR_LIB_SSL, 0, SSL_R_UNEXPECTED_EOF_WHILE_READING);
}

bool is_lasting(TlsFailure failure) {
    return failure != 0 && failure != closed_in_handshake();
}

void TlsContext::Free::operator()(ssl_ctx_st* context) const {
    SSL_CTX_free(context);
}

Input<std::shared_ptr<const TlsContext>> TlsContext::make(const TlsSettings& settings) {
    std::unique_ptr<ssl_ctx_st, Free> context{SSL_CTX_new(TLS_client_method())};
    if (!context) throw std::bad_alloc{};
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_default_passwd_cb(context.get(), no_passphrase);
    ERR_clear_error();
    if (std::string wrong = load_trust(context.get(), settings); !wrong.empty()) {
        return InputError{std::move(wrong)};
    }
    if (std::string wrong = load_certificate(context.get(), settings); !wrong.empty()) {
        return InputError{std::move(wrong)};
    }
    return std::shared_ptr<const TlsContext>{
        new TlsContext{std::move(context), !settings.is_insecure}};
}

void TlsStream::Free::operator()(ssl_st* stream) const {
    SSL_free(stream);  // and its two ends
}

TlsStream::TlsStream(const TlsContext& context, const std::string& host)
    : stream_(SSL_new(context.get())) {
    BIO* const from_wire = BIO_new(BIO_s_mem());
    BIO* const to_wire = BIO_new(BIO_s_mem());
    if (!stream_ || from_wire == nullptr || to_wire == nullptr) throw std::bad_alloc{};
    SSL_set_bio(stream_.get(), from_wire, to_wire);
    // The name that is asked for (SNI) is for names only: RFC 6066, section 3.
    const std::unique_ptr<ASN1_OCTET_STRING, decltype(&ASN1_OCTET_STRING_free)> address{
        a2i_IPADDRESS(host.c_str()),
        &ASN1_OCTET_STRING_free};
    if (!address) {
        constexpr auto type = TLSEXT_NAMETYPE_host_name;
        std::string name = host;
        SSL_ctrl(stream_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, type, name.data());
    }
    if (context.checks_host()) {
        X509_VERIFY_PARAM* const wanted = SSL_get0_param(stream_.get());
        if (address) {
            X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str());
        } else {
            X509_VERIFY_PARAM_set1_host(wanted, host.data(), host.size());
        }
    }
    ERR_clear_error();
    SSL_set_connect_state(stream_.get());
}

bool TlsStream::is_established() const {
    return SSL_is_init_finished(stream_.get()) == 1;
}

bool TlsStream::send(std::string& plain, std::string& wire) {
    bool is_fine = check(SSL_do_handshake(stream_.get()));
    if (is_fine && is_established() && !plain.empty()) {
        std::size_t written = 0;
        is_fine = check(SSL_write_ex(stream_.get(), plain.data(), plain.size(), &written));
        plain.erase(0, written);
    }
    drain(wire);
    return is_fine;
}

bool TlsStream::receive(std::string_view wire, std::string& plain) {
    std::size_t taken = 0;
    if (BIO_write_ex(SSL_get_rbio(stream_.get()), wire.data(), wire.size(), &taken) != 1 ||
        taken != wire.size()) {
        throw std::bad_alloc{};
    }
    std::array<char, piece_bytes> piece;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    for (;;) {
        std::size_t got = 0;
        const int result = SSL_read_ex(stream_.get(), piece.data(), piece.size(), &got);
        if (result != 1) return check(result);
        plain.append(piece.data(), got);
    }
}

void TlsStream::end(std::string& wire) {
    static_cast<void>(SSL_shutdown(stream_.get()));
    ERR_clear_error();
    drain(wire);
}

void TlsStream::drain(std::string& wire) {
    std::array<char, piece_bytes> piece;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    BIO* const to_wire = SSL_get_wbio(stream_.get());
    for (int got = 0; (got = BIO_read(to_wire, piece.data(), piece.size())) > 0;)
        wire.append(piece.data(), static_cast<std::size_t>(got));
}

// True if it only waits for the other side.
bool TlsStream::check(int result) {
    const int error = SSL_get_error(stream_.get(), result);
    const bool waits = error == SSL_ERROR_NONE || error == SSL_ERROR_WANT_READ ||
                       error == SSL_ERROR_WANT_WRITE;
    if (error == SSL_ERROR_SSL && failure_ == 0) {
        const unsigned long code = ERR_get_error();
        failure_ = code & code_mask;
        if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
            const auto verify = static_cast<TlsFailure>(SSL_get_verify_result(stream_.get()));
            failure_ |= verify << verify_shift;
        }
    }
    ERR_clear_error();
    return waits;
}

}  // namespace milepost::fleet
