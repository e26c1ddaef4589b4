#include "gateway/upstream/tls_reasons.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace milepost;
using namespace milepost::upstream;

namespace {

// As OpenSSL numbers them (X509_V_ERR_…).
constexpr int not_yet_valid = 9;
constexpr int expired = 10;
constexpr int self_signed = 18;
constexpr int unknown_issuer = 20;
constexpr int revoked = 23;
constexpr int wrong_host = 62;
constexpr int wrong_address = 64;
constexpr int key_too_small = 67;

constexpr std::string_view broker = "kafka.example:9093";

std::string fault(int error, int depth = 0) {
    return certificate_fault(error, depth, {}, broker, Timestamp{0});
}

// Texts of librdkafka 2.0.2.
const std::string verify_text =
    "ssl://kafka.example:9093/bootstrap: SSL handshake failed: error:0A000086:SSL "
    "routines::certificate verify failed: broker certificate could not be verified, verify that "
    "ssl.ca.location is correctly configured or root CA certificates are installed (after 4ms in "
    "state SSL_HANDSHAKE)";

}  // namespace

TEST_CASE("tls_reasons: what is wrong with a certificate is said in words", "[upstream]") {
    CHECK(fault(expired) == "the broker's certificate has expired");
    CHECK(fault(expired, 1) == "the certificate of the broker's authority has expired");
    CHECK(fault(not_yet_valid) == "the broker's certificate is not valid yet");
    CHECK(fault(revoked) == "the broker's certificate was revoked");
    for (const int error : {wrong_host, wrong_address}) {
        CHECK(fault(error) == "the broker's certificate is for another host than kafka.example");
    }
    for (const int error : {self_signed, unknown_issuer}) {
        CHECK(
            fault(error).find("signed by no authority that this gateway knows") != std::string::npos
        );
    }
    // What has no words of ours has OpenSSL's.
    CHECK(fault(key_too_small).find("CA certificate key too weak") != std::string::npos);
}

TEST_CASE("tls_reasons: a certificate that cannot be read costs the dates only", "[upstream]") {
    const std::string rubbish = "no certificate";
    CHECK(
        certificate_fault(expired, 0, as_bytes(rubbish), broker, Timestamp{0}) ==
        "the broker's certificate has expired"
    );
}

TEST_CASE("tls_reasons: librdkafka's text gives way to the reason", "[upstream]") {
    TlsReasons reasons;
    CHECK(reasons.plain(verify_text) == verify_text);
    reasons.note(broker, "it has expired");
    reasons.note("other.example:9093", "other");
    CHECK(
        reasons.plain(verify_text) ==
        "ssl://kafka.example:9093/bootstrap: certificate verify failed: it has expired"
    );
    CHECK(reasons.plain("Connection refused") == "Connection refused");
}

TEST_CASE("tls_reasons: memory is bounded", "[upstream]") {
    TlsReasons reasons;
    for (std::size_t i = 0; i <= TlsReasons::brokers_max; ++i) {
        reasons.note("b" + std::to_string(i) + ":1", "x");
    }
    reasons.note(broker, "it has expired");
    CHECK(reasons.plain(verify_text).find("it has expired") != std::string::npos);
}

TEST_CASE("tls_reasons: an alert says that the broker refuses our certificate", "[upstream]") {
    const auto alert = [](int number) {
        return refused_certificate(
            "ssl://k:9093/1: Receive failed: SSL alert number " + std::to_string(number) + " (after"
        );
    };
    CHECK(alert(45).find("it has expired") != std::string_view::npos);
    CHECK(alert(48).find("does not know the authority") != std::string_view::npos);
    CHECK(alert(42).find("refuses this gateway's certificate") != std::string_view::npos);
    CHECK(alert(80).empty());
    CHECK(refused_certificate("Connection refused").empty());
    TlsReasons reasons;
    CHECK(reasons.plain("x: SSL alert number 46").starts_with("the broker refuses"));
}
