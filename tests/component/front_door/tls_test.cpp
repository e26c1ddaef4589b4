// TLS at the front door, on real sockets: who comes through the handshake, and who does not.
#include "tests/component/front_door/tls_device.hpp"

#include <memory>
#include <string>

namespace milepost {

namespace {

using listener::CertificateName;
using listener::TlsMaterial;
using listener::TlsServer;
using test::Device;
using test::Door;
using test::FoldingKeeper;
using test::ForgetfulDisk;
using test::Issued;
using test::TlsDevice;

std::shared_ptr<const TlsServer> server_of(const TlsMaterial& material) {
    auto made = TlsServer::make(material);
    if (const auto* problem = std::get_if<std::string>(&made)) FAIL(*problem);
    return std::get<std::shared_ptr<const TlsServer>>(made);
}

std::string problem_of(const TlsMaterial& material) {
    auto made = TlsServer::make(material);
    const auto* problem = std::get_if<std::string>(&made);
    return problem == nullptr ? "" : *problem;
}

// A site: an authority and what it has issued.
struct Site {
    Issued authority{{.cn = "site", .is_authority = true}};
    Issued server{{.cn = "gateway", .alternative_names = "DNS:gateway.example"}, &authority};
    Issued vehicle{{.cn = "V1", .alternative_names = "URI:urn:v1,DNS:v1.example"}, &authority};

    [[nodiscard]] TlsMaterial material() const {
        TlsMaterial material;
        material.certificates.push_back({server.pem(), server.key_pem()});
        return material;
    }

    // Client certificates are required, their CN is the user.
    [[nodiscard]] TlsMaterial mutual() const {
        TlsMaterial material = this->material();
        material.client_ca = authority.pem();
        material.client_certificate_required = true;
        material.user_from = CertificateName::cn;
        return material;
    }
};

// A gateway with one TLS listener.
struct Gateway {
    explicit Gateway(const TlsMaterial& material)
        : door(disk, keeper, {.endpoint = rules_of(material)}) {}

    static listener::EndpointRules rules_of(const TlsMaterial& material) {
        listener::EndpointRules rules;
        rules.tls = server_of(material);
        rules.anonymous = material.client_ca.empty();
        rules.certificate_is_user = material.user_from != CertificateName::none;
        return rules;
    }

    // Whether it fails at the handshake, which the device may notice only afterwards (TLS 1.3).
    bool refuses(const TlsDevice::Settings& settings) {
        const auto failed = door.listener->stats().failed_handshakes.value();
        TlsDevice device{door, settings};
        const bool is_in = device.connects("x");
        return !is_in && door.listener->stats().failed_handshakes.value() == failed + 1;
    }

    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door;
};

}  // namespace

TEST_CASE("tls: a publish is acknowledged over 1.2 and 1.3, older ones are refused", "[tls]") {
    const Site site;
    Gateway gateway{site.material()};
    for (const int version : {TLS1_3_VERSION, TLS1_2_VERSION}) {
        TlsDevice device{gateway.door, {.trusts = &site.authority, .version_max = version}};
        REQUIRE(device.connects("dev"));
        REQUIRE(device.send(Device::publish_packet(1, "x", /*retain=*/false)));
        CHECK(device.hears(Device::puback(1)));
    }
    CHECK(gateway.refuses({.version_max = TLS1_1_VERSION}));
    auto newest = site.material();
    newest.only_1_3 = true;
    Gateway strict{newest};
    CHECK(strict.refuses({.version_max = TLS1_2_VERSION}));
    CHECK(gateway.door.values().size() == 2);
}

TEST_CASE("tls: more than a record and more than a read come through whole", "[tls]") {
    const Site site;
    Gateway gateway{site.material()};
    TlsDevice device{gateway.door, {}};
    REQUIRE(device.connects("dev"));
    std::string burst;
    std::string acks;
    for (std::uint16_t i = 1; i <= 250; ++i) {
        burst += Device::publish_packet(i, std::string(95, 'x'), /*retain=*/false);
        acks += Device::puback(i);
    }
    for (int round = 0; round < 20; ++round) {
        REQUIRE(device.send(burst));
        REQUIRE(device.hears(acks));
    }
    REQUIRE(gateway.door.turn_until([&] { return gateway.door.values().size() == 5000; }));
}

TEST_CASE("tls: only a client certificate that the site has signed comes in", "[tls]") {
    const Site site;
    const Issued stranger_authority{{.cn = "site", .is_authority = true}};
    const Issued stranger{{.cn = "V1"}, &stranger_authority};
    const Issued expired{{.cn = "V1", .valid_to_s = -60}, &site.authority};
    const Issued early{{.cn = "V1", .valid_from_s = 1800}, &site.authority};
    const Issued revoked{{.cn = "V1"}, &site.authority};
    auto material = site.mutual();
    material.crl = site.authority.crl_pem({&revoked});
    Gateway gateway{material};
    TlsDevice device{gateway.door, {.own = &site.vehicle}};
    CHECK(device.connects("x"));
    for (const int version : {TLS1_3_VERSION, TLS1_2_VERSION}) {
        INFO(version);
        CHECK(gateway.refuses({.version_max = version}));
        CHECK(gateway.refuses({.own = &stranger, .version_max = version}));
        CHECK(gateway.refuses({.own = &expired, .version_max = version}));
        CHECK(gateway.refuses({.own = &early, .version_max = version}));
        CHECK(gateway.refuses({.own = &revoked, .version_max = version}));
    }
    CHECK(gateway.door.listener->stats().connects.value() == 1);
}

TEST_CASE("tls: a device notices a gateway that its authority has not signed", "[tls]") {
    const Site site;
    const Site other;
    Gateway gateway{site.material()};
    TlsDevice device{gateway.door, {.trusts = &other.authority}};
    CHECK_FALSE(device.shakes_hands());
}

TEST_CASE("tls: what is no TLS costs its connection and nothing else", "[tls]") {
    const Site site;
    Gateway gateway{site.material()};
    for (const std::string& garbage : {
             std::string{"GET / HTTP/1.1\r\n\r\n"},
             Device::connect_packet("dev", /*clean=*/true),
             std::string(2000, '\xff'),
             std::string{"\x16\x03\x01\xff\xff", 5} + std::string(70'000, 'x'),
         }) {
        Device device{gateway.door};
        device.send(garbage);
        CHECK(device.is_closed());
    }
    CHECK(gateway.door.listener->stats().failed_handshakes.value() == 4);
    TlsDevice device{gateway.door, {}};
    CHECK(device.connects("dev"));
}

TEST_CASE("tls: half a handshake ends with the time for a CONNECT", "[tls]") {
    const Site site;
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    const std::chrono::seconds soon{1};
    Door door{
        disk,
        keeper,
        {.endpoint = Gateway::rules_of(site.material()), .connect_timeout = soon}};
    Device silent{door};
    Device half{door};
    half.send(std::string{"\x16\x03\x01\x02", 4});
    TlsDevice shaken{door, {}};
    REQUIRE(shaken.shakes_hands());
    CHECK(silent.is_closed());
    CHECK(half.is_closed());
    CHECK(shaken.is_over());
    CHECK(door.listener->stats().connect_timeouts.value() == 3);
}

TEST_CASE("tls: the user is a name of the certificate, and the ACL knows it", "[tls]") {
    struct Case {
        CertificateName from;
        std::string topic;
    };

    const Site site;
    const Case cases[] = {
        {CertificateName::cn, "V1"},
        {CertificateName::san_dns, "v1.example"},
        {CertificateName::san_uri, "urn:v1"},
    };
    for (const auto& [from, name] : cases) {
        auto material = site.mutual();
        material.user_from = from;
        auto rules = Gateway::rules_of(material);
        rules.acl = std::make_shared<const access::Acl>(
            std::get<access::Acl>(access::Acl::parse("user " + name + "\nwrite vehicles/V1/#"))
        );
        ForgetfulDisk disk;
        FoldingKeeper keeper;
        Door door{disk, keeper, {.endpoint = rules}};
        TlsDevice device{door, {.own = &site.vehicle}};
        REQUIRE(device.connects("dev"));
        REQUIRE(device.send(Device::publish_packet(1, "x", /*retain=*/false)));
        CHECK(device.hears(Device::puback(1)));
        CHECK(door.intake->stats().rejected_acl.value() == 0);
        CHECK(door.values().size() == 1);
    }
}

TEST_CASE("tls: a certificate without such a name, or of a disabled user, is refused", "[tls]") {
    const Site site;
    auto material = site.mutual();
    material.user_from = CertificateName::san_email;
    Gateway gateway{material};
    TlsDevice unnamed{gateway.door, {.own = &site.vehicle}};
    REQUIRE(unnamed.shakes_hands());
    REQUIRE(unnamed.send(Device::connect_packet("dev", /*clean=*/true)));
    CHECK(unnamed.hears(std::string{'\x20', '\2', '\0', '\5'}));

    auto rules = Gateway::rules_of(site.mutual());
    rules.passwords = std::make_shared<const access::PasswordFile>(
        std::get<access::PasswordFile>(access::PasswordFile::parse("V1:!"))
    );
    gateway.door.listener->set_rules(0, rules);
    TlsDevice disabled{gateway.door, {.own = &site.vehicle}};
    REQUIRE(disabled.shakes_hands());
    REQUIRE(disabled.send(Device::connect_packet("dev", /*clean=*/true)));
    CHECK(disabled.hears(std::string{'\x20', '\2', '\0', '\5'}));
}

TEST_CASE("tls: each client gets the certificate of the host that it asks for", "[tls]") {
    const Site site;
    const Issued depot{
        {.cn = "depot", .alternative_names = "DNS:*.depot.example"},
        &site.authority};
    auto material = site.material();
    material.certificates.push_back({depot.pem(), depot.key_pem()});
    Gateway gateway{material};
    const auto cn_for = [&](const std::string& host) {
        TlsDevice device{gateway.door, {.trusts = &site.authority, .server_name = host}};
        return device.connects("dev") ? device.server_cn() : "";
    };
    CHECK(cn_for("") == "gateway");
    CHECK(cn_for("gateway.example") == "gateway");
    CHECK(cn_for("one.depot.example") == "depot");
    CHECK(cn_for("elsewhere.example") == "gateway");
}

TEST_CASE("tls: new certificates hold for new connections, old ones stay", "[tls]") {
    const Site site;
    const Site next;
    Gateway gateway{site.mutual()};
    TlsDevice device{gateway.door, {.trusts = &site.authority, .own = &site.vehicle}};
    REQUIRE(device.connects("old"));
    gateway.door.listener->set_rules(0, Gateway::rules_of(next.mutual()));
    REQUIRE(device.send(Device::publish_packet(1, "x", /*retain=*/false)));
    CHECK(device.hears(Device::puback(1)));
    CHECK(gateway.refuses({.own = &site.vehicle}));
    TlsDevice other{gateway.door, {.trusts = &next.authority, .own = &next.vehicle}};
    CHECK(other.connects("new"));
}

TEST_CASE("tls: what cannot be used is named", "[tls]") {
    const Site site;
    const Site other;
    auto material = site.material();
    material.certificates[0].key = other.server.key_pem();
    CHECK(problem_of(material) == "key: does not belong to the certificate");
    material.certificates[0].key = "hunter2";
    CHECK(problem_of(material).find("hunter2") == std::string::npos);
    CHECK(problem_of(material).starts_with("key: "));
    material.certificates[0] = {"", site.server.key_pem()};
    CHECK(problem_of(material).starts_with("certificate: "));
    auto mutual = site.mutual();
    mutual.crl = site.authority.pem();
    CHECK(problem_of(mutual).starts_with("crl_file: "));
    mutual.client_ca = "x";
    CHECK(problem_of(mutual).starts_with("client_ca: "));
    CHECK(problem_of({}) == "certificate: must be given");
}

}  // namespace milepost
