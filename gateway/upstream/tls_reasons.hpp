#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/time.hpp"

#include <map>
#include <mutex>
#include <string>
#include <string_view>

// Why TLS with a broker did not come about, in words for whoever runs a gateway: librdkafka says
// that a certificate could not be verified, and not why. Only for rdkafka_*.cpp of this room.
namespace milepost::upstream {

// `error` is OpenSSL's X509_V_ERR_…, `depth` 0 for the broker's own certificate and more for those
// above it, `certificate` is that one in DER. Pure.
[[nodiscard]] std::string certificate_fault(
    int error,
    int depth,
    Bytes certificate,
    std::string_view broker,
    Timestamp now
);

// What a broker that does not accept this gateway's certificate means, from librdkafka's text,
// which has the number of the alert; empty: no such alert. Pure.
[[nodiscard]] std::string_view refused_certificate(std::string_view text);

// What was found wrong with certificates, until the error comes by that librdkafka makes of it.
// Thread: any.
class TlsReasons {
public:
    static constexpr std::size_t brokers_max = 64;

    // `broker` is host:port.
    void note(std::string_view broker, std::string reason);
    // librdkafka's `text` of an error, in plain words if they are known: the broker that it names,
    // and what is wrong.
    [[nodiscard]] std::string plain(std::string text);

private:
    std::mutex mutex_;
    std::map<std::string, std::string, std::less<>> reasons_;
};

}  // namespace milepost::upstream
