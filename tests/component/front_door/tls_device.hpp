#pragma once

#include "gateway/listener/tls.hpp"
#include "tests/component/front_door/door.hpp"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <csignal>
#include <memory>
#include <string>

// Certificates made on the spot, and a device that speaks TLS.
// OpenSSL's macros have casts in the C style.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#pragma GCC diagnostic ignored "-Wcast-qual"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wuseless-cast"
#endif

namespace milepost::test {

template <auto free>
struct Freed {
    template <class T>
    void operator()(T* object) const {
        free(object);
    }
};

template <class T, auto free>
using Owned = std::unique_ptr<T, Freed<free>>;

struct Subject {
    std::string cn;
    bool is_authority = false;
    std::string alternative_names{};  // as OpenSSL writes them: "DNS:a,URI:b"
    long valid_from_s = -3600;        // from now
    long valid_to_s = 3600;
};

// A key and a certificate that its issuer (or it itself) has signed.
class Issued {
public:
    explicit Issued(const Subject& subject, const Issued* issuer = nullptr)
        : key_(::EVP_EC_gen("P-256"))
        , certificate_(::X509_new()) {
        static long serial = 1;
        X509* made = certificate_.get();
        ::X509_set_version(made, X509_VERSION_3);
        ::ASN1_INTEGER_set(::X509_get_serialNumber(made), ++serial);
        ::X509_gmtime_adj(::X509_getm_notBefore(made), subject.valid_from_s);
        ::X509_gmtime_adj(::X509_getm_notAfter(made), subject.valid_to_s);
        X509_NAME* name = ::X509_get_subject_name(made);
        const auto* cn = reinterpret_cast<const unsigned char*>(subject.cn.c_str());
        ::X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, cn, -1, -1, 0);
        const Issued& signer = issuer != nullptr ? *issuer : *this;
        ::X509_set_issuer_name(made, ::X509_get_subject_name(signer.certificate_.get()));
        ::X509_set_pubkey(made, key_.get());
        extend(NID_basic_constraints, subject.is_authority ? "critical,CA:TRUE" : "CA:FALSE");
        if (!subject.alternative_names.empty()) {
            extend(NID_subject_alt_name, subject.alternative_names);
        }
        ::X509_sign(made, signer.key_.get(), ::EVP_sha256());
    }

    [[nodiscard]] std::string pem() const {
        const Owned<BIO, ::BIO_free> out{::BIO_new(::BIO_s_mem())};
        ::PEM_write_bio_X509(out.get(), certificate_.get());
        return text_of(out.get());
    }

    [[nodiscard]] std::string key_pem() const {
        const Owned<BIO, ::BIO_free> out{::BIO_new(::BIO_s_mem())};
        ::PEM_write_bio_PrivateKey(out.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
        return text_of(out.get());
    }

    // As an authority: the list of what it has revoked.
    [[nodiscard]] std::string crl_pem(const std::vector<const Issued*>& revoked) const {
        const Owned<X509_CRL, ::X509_CRL_free> list{::X509_CRL_new()};
        ::X509_CRL_set_version(list.get(), X509_CRL_VERSION_2);
        ::X509_CRL_set_issuer_name(list.get(), ::X509_get_subject_name(certificate_.get()));
        const Owned<ASN1_TIME, ::ASN1_TIME_free> time{::ASN1_TIME_new()};
        ::X509_gmtime_adj(time.get(), -60);
        ::X509_CRL_set1_lastUpdate(list.get(), time.get());
        ::X509_gmtime_adj(time.get(), 3600);
        ::X509_CRL_set1_nextUpdate(list.get(), time.get());
        for (const Issued* issued : revoked) {
            X509_REVOKED* entry = ::X509_REVOKED_new();
            X509* certificate = issued->certificate_.get();
            ::X509_REVOKED_set_serialNumber(entry, ::X509_get_serialNumber(certificate));
            ::X509_REVOKED_set_revocationDate(entry, time.get());
            ::X509_CRL_add0_revoked(list.get(), entry);
        }
        ::X509_CRL_sign(list.get(), key_.get(), ::EVP_sha256());
        const Owned<BIO, ::BIO_free> out{::BIO_new(::BIO_s_mem())};
        ::PEM_write_bio_X509_CRL(out.get(), list.get());
        return text_of(out.get());
    }

    [[nodiscard]] X509* certificate() const { return certificate_.get(); }

    [[nodiscard]] EVP_PKEY* key() const { return key_.get(); }

private:
    void extend(int nid, const std::string& value) {
        const Owned<X509_EXTENSION, ::X509_EXTENSION_free> extension{
            ::X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str())};
        ::X509_add_ext(certificate_.get(), extension.get(), -1);
    }

    static std::string text_of(BIO* bio) {
        char* data = nullptr;
        const long length = ::BIO_get_mem_data(bio, &data);
        return {data, static_cast<std::size_t>(length)};
    }

    Owned<EVP_PKEY, ::EVP_PKEY_free> key_;
    Owned<X509, ::X509_free> certificate_;
};

// Says what it is told to over TLS. Its door outlives it.
class TlsDevice {
public:
    struct Settings {
        const Issued* trusts = nullptr;  // nullptr: everybody
        const Issued* own = nullptr;
        int version_max = TLS1_3_VERSION;
        std::string server_name{};
    };

    TlsDevice(Door& door, const Settings& settings)
        : door_(&door)
        , socket_(door.io)
        , context_(::SSL_CTX_new(::TLS_client_method())) {
        std::signal(SIGPIPE, SIG_IGN);
        ::SSL_CTX_set_min_proto_version(context_.get(), TLS1_VERSION);
        ::SSL_CTX_set_max_proto_version(context_.get(), settings.version_max);
        ::SSL_CTX_set_security_level(context_.get(), 0);
        if (settings.trusts != nullptr) {
            X509_STORE* store = ::SSL_CTX_get_cert_store(context_.get());
            ::X509_STORE_add_cert(store, settings.trusts->certificate());
            ::SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
        }
        if (settings.own != nullptr) {
            ::SSL_CTX_use_certificate(context_.get(), settings.own->certificate());
            ::SSL_CTX_use_PrivateKey(context_.get(), settings.own->key());
        }
        socket_.connect({asio::ip::address_v4::loopback(), door.listener->ports().at(0)});
        socket_.non_blocking(true);
        ssl_.reset(::SSL_new(context_.get()));
        if (!settings.server_name.empty()) {
            ::SSL_set_tlsext_host_name(ssl_.get(), settings.server_name.c_str());
        }
        ::SSL_set_fd(ssl_.get(), socket_.native_handle());
        ::SSL_set_connect_state(ssl_.get());
    }

    // Whether the handshake came to its end, as the device sees it.
    bool shakes_hands() {
        int result = 0;
        door_->turn_until([&] {
            ::ERR_clear_error();
            result = ::SSL_do_handshake(ssl_.get());
            return result == 1 || ::SSL_get_error(ssl_.get(), result) != SSL_ERROR_WANT_READ;
        });
        return result == 1;
    }

    // All of it, turning the door where it has to take something first.
    bool send(const std::string& bytes) {
        std::size_t sent = 0;
        return door_->turn_until([&] {
            if (sent == bytes.size()) return true;
            ::ERR_clear_error();
            std::size_t taken = 0;
            ::SSL_set_mode(ssl_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE);
            ::SSL_write_ex(ssl_.get(), bytes.data() + sent, bytes.size() - sent, &taken);
            sent += taken;
            return sent == bytes.size();
        });
    }

    bool hears(const std::string& bytes) {
        return door_->turn_until([&] {
            read();
            return is_over_ || heard_.find(bytes) != std::string::npos;
        }) && heard_.find(bytes) != std::string::npos;
    }

    bool is_over() {
        return door_->turn_until([&] {
            read();
            return is_over_;
        });
    }

    // Shakes hands, says CONNECT and is accepted.
    bool connects(const std::string& id) {
        return shakes_hands() && send(Device::connect_packet(id, /*clean=*/true)) &&
               hears(std::string{'\x20', '\2', '\0', '\0'});
    }

    [[nodiscard]] std::string server_cn() const {
        X509* certificate = ::SSL_get0_peer_certificate(ssl_.get());
        std::string cn(64, '\0');
        X509_NAME* name = ::X509_get_subject_name(certificate);
        const int length = ::X509_NAME_get_text_by_NID(name, NID_commonName, cn.data(), 64);
        cn.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
        return cn;
    }

    [[nodiscard]] const std::string& heard() const { return heard_; }

private:
    void read() {
        std::array<char, 4096> buffer{};
        ::ERR_clear_error();
        const int got = ::SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()));
        if (got > 0) {
            heard_.append(buffer.data(), static_cast<std::size_t>(got));
        } else if (::SSL_get_error(ssl_.get(), got) != SSL_ERROR_WANT_READ) {
            is_over_ = true;
        }
    }

    Door* door_;
    tcp::socket socket_;
    Owned<SSL_CTX, ::SSL_CTX_free> context_;
    Owned<SSL, ::SSL_free> ssl_;
    std::string heard_;
    bool is_over_ = false;
};

}  // namespace milepost::test

#pragma GCC diagnostic pop
