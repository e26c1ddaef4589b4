#include "gateway/upstream/tls_reasons.hpp"

#include <openssl/asn1.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <memory>
#include <utility>

namespace milepost::upstream {

namespace {

constexpr std::string_view verify_failed = "certificate verify failed";
constexpr std::string_view handshake_failed = "SSL handshake failed";
constexpr std::string_view alert_number = "SSL alert number ";

struct FreeCertificate {
    void operator()(X509* certificate) const { X509_free(certificate); }
};

using Certificate = std::unique_ptr<X509, FreeCertificate>;

Certificate parse(Bytes der) {
    const auto* at = reinterpret_cast<const unsigned char*>(der.data());
    return Certificate{d2i_X509(nullptr, &at, static_cast<long>(der.size()))};
}

std::string text_of(const std::tm& time) {
    std::array<char, 32> text{};
    const auto size = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M UTC", &time);
    return {text.data(), size};
}

std::string text_of(const ASN1_TIME* time) {
    std::tm parts{};
    return time != nullptr && ASN1_TIME_to_tm(time, &parts) == 1 ? text_of(parts) : "?";
}

std::string text_of(Timestamp time) {
    const std::time_t seconds = time.value() / 1000;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    return text_of(parts);
}

std::string_view host_of(std::string_view broker) {
    return broker.substr(0, broker.rfind(':'));
}

// When it is valid, beside what this machine's clock says: one of both may be wrong.
std::string dates(Bytes der, bool until, Timestamp now) {
    const auto certificate = parse(der);
    if (!certificate) return {};
    const auto* const time = until ? X509_get0_notAfter(certificate.get())
                                   : X509_get0_notBefore(certificate.get());
    return std::string{until ? " (valid until " : " (valid from "} + text_of(time) +
           "; here it is " + text_of(now) + ")";
}

}  // namespace

std::string certificate_fault(
    int error,
    int depth,
    Bytes certificate,
    std::string_view broker,
    Timestamp now
) {
    const std::string whose = depth == 0 ? "the broker's certificate "
                                         : "the certificate of the broker's authority ";
    switch (error) {
        case X509_V_ERR_CERT_HAS_EXPIRED:
            return whose + "has expired" + dates(certificate, true, now);
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return whose + "is not valid yet" + dates(certificate, false, now);
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        case X509_V_ERR_CERT_SIGNATURE_FAILURE:
            return whose + "is signed by no authority that this gateway knows: see ssl.ca.location";
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH:
            return whose + "is for another host than " + std::string{host_of(broker)};
        case X509_V_ERR_CERT_REVOKED: return whose + "was revoked";
        case X509_V_ERR_UNABLE_TO_GET_CRL:
            return "there is no revocation list for " + whose + "in ssl.crl.location";
        case X509_V_ERR_CRL_HAS_EXPIRED:
            return "the revocation list for " + whose + "is out of date: see ssl.crl.location";
        default: return whose + "is not accepted: " + X509_verify_cert_error_string(error);
    }
}

std::string_view refused_certificate(std::string_view text) {
    const auto at = text.find(alert_number);
    if (at == std::string_view::npos) return {};
    const auto digits = text.substr(at + alert_number.size());
    int number = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), number);
    // RFC 8446, 6: alerts about a peer's certificate.
    switch (number) {
        case 42: return "the broker refuses this gateway's certificate as bad, or wants one";
        case 43: return "the broker refuses this gateway's certificate: of no kind that it takes";
        case 44: return "the broker refuses this gateway's certificate: it was revoked";
        case 45: return "the broker refuses this gateway's certificate: it has expired";
        case 46: return "the broker refuses this gateway's certificate";
        case 48: return "the broker does not know the authority of this gateway's certificate";
        case 116: return "the broker wants a certificate of this gateway: ssl.certificate.location";
        default: return {};
    }
}

void TlsReasons::note(std::string_view broker, std::string reason) {
    const std::lock_guard lock{mutex_};
    if (reasons_.size() >= brokers_max && reasons_.find(broker) == reasons_.end()) {
        reasons_.clear();
    }
    reasons_.insert_or_assign(std::string{broker}, std::move(reason));
}

std::string TlsReasons::plain(std::string text) {
    if (const auto why = refused_certificate(text); !why.empty()) {
        return std::string{why} + ": " + text;
    }
    if (text.find(verify_failed) == std::string::npos) return text;
    const std::lock_guard lock{mutex_};
    const auto known = std::find_if(reasons_.begin(), reasons_.end(), [&](const auto& reason) {
        return text.find(reason.first + "/") != std::string::npos;
    });
    if (known == reasons_.end()) return text;
    // "ssl://host:port/1: SSL handshake failed: …": what follows is about files of OpenSSL's.
    std::string plain = text.substr(0, text.find(handshake_failed)) + std::string{verify_failed} +
                        ": " + known->second;
    return plain;
}

}  // namespace milepost::upstream
