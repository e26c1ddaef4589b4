#include "firmware-sim/direct_link.hpp"

#include "firmware-sim/inbox.hpp"
#include "firmware-sim/network.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace milepost;
using namespace milepost::fleet;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

// A gateway of one connection, which the test plays. Loopback, so that what one side has sent the
// other has.
class Played {
public:
    Played()
        : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        address_.sin_family = AF_INET;
        address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address_;
        auto* const any = reinterpret_cast<sockaddr*>(&address_);
        if (::bind(listener_, any, size) != 0 || ::listen(listener_, 8) != 0 ||
            ::getsockname(listener_, any, &size) != 0) {
            throw std::runtime_error{"no port"};
        }
    }

    ~Played() {
        hang_up();
        ::close(listener_);
    }

    Played(const Played&) = delete;
    Played& operator=(const Played&) = delete;

    [[nodiscard]] std::uint16_t port() const { return ntohs(address_.sin_port); }

    void accept() { connection_ = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC); }

    void send(const std::string& bytes) const {
        REQUIRE(::send(connection_, bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0);
    }

    // Exactly so many bytes.
    [[nodiscard]] std::string read(std::size_t count) const {
        std::string bytes(count, '\0');
        const ssize_t got = ::recv(connection_, bytes.data(), count, MSG_WAITALL);
        bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
        return bytes;
    }

    void hang_up() {
        if (connection_ >= 0) ::close(connection_);
        connection_ = -1;
    }

private:
    int listener_;
    int connection_ = -1;
    sockaddr_in address_{};
};

struct Stage {
    LinkEvent next() {
        const Instant until = monotonic_now() + 20s;
        while (at_ == events_.size()) {
            if (monotonic_now() > until) throw std::runtime_error{"the link says nothing"};
            static_cast<void>(inbox.wait_until(until));
            inbox.take(events_);
            at_ = 0;
        }
        return events_[at_++];
    }

    // A turn or two, so that the link has written what it wanted to.
    LinkEvent connect(bool session_present) {
        link.connect();
        gateway.accept();
        turn();
        CHECK(gateway.read(connect_bytes)[0] == '\x10');
        gateway.send("\x20\x02"s + (session_present ? '\1' : '\0') + '\0');
        return next();
    }

    void turn() {
        static_cast<void>(inbox.wait_until(monotonic_now() + 5s));
        std::vector<LinkEvent> events;
        inbox.take(events);
        REQUIRE(events.empty());
    }

    static constexpr std::size_t connect_bytes = 19;
    static constexpr std::size_t publish_bytes = 2 + 2 + 24 + 2 + 1;

    Played gateway;
    LinkSettings settings{.port = gateway.port()};
    Inbox inbox{-1};
    Network network{inbox, settings.host, settings.port};
    DirectLink link{network, settings, 7, std::string{"V0001"}};

private:
    std::vector<LinkEvent> events_;
    std::size_t at_ = 0;
};

}  // namespace

TEST_CASE(
    "direct link: it connects, publishes, is acknowledged and says goodbye",
    "[direct_link]"
) {
    Stage stage;
    const LinkEvent connected = stage.connect(false);
    CHECK(connected.kind == LinkEventKind::connected);
    CHECK(connected.vehicle == 7);
    CHECK(connected.window == 20);
    CHECK_FALSE(connected.session_present);
    REQUIRE(stage.link.publish(41, "p"));
    const std::string publish = stage.gateway.read(Stage::publish_bytes);
    REQUIRE(publish.size() == Stage::publish_bytes);
    stage.gateway.send("\x40\x02"s + publish.substr(publish.size() - 3, 2));
    const LinkEvent acknowledged = stage.next();
    CHECK(acknowledged.kind == LinkEventKind::acknowledged);
    CHECK(acknowledged.seq == 41);
    stage.link.disconnect();
    CHECK(stage.gateway.read(3) == "\xe0\0"s);  // and then the end
    stage.gateway.hang_up();
    CHECK(stage.next().kind == LinkEventKind::disconnected);
}

TEST_CASE("direct link: after a loss a kept session gets it again with DUP", "[direct_link]") {
    Stage stage;
    stage.connect(false);
    REQUIRE(stage.link.publish(1, "p"));
    std::string publish = stage.gateway.read(Stage::publish_bytes);
    stage.gateway.hang_up();
    CHECK(stage.next().kind == LinkEventKind::lost);
    CHECK_FALSE(stage.link.publish(2, "q"));
    CHECK(stage.connect(true).session_present);
    publish[0] = static_cast<char>(publish[0] | 0x08);
    CHECK(stage.gateway.read(Stage::publish_bytes) == publish);
}

TEST_CASE("direct link: an answer that came before the end counts", "[direct_link]") {
    Stage stage;
    stage.connect(false);
    REQUIRE(stage.link.publish(1, "p"));
    REQUIRE(stage.gateway.read(Stage::publish_bytes).size() == Stage::publish_bytes);
    stage.gateway.send("\x40\x02\0\1"s);
    stage.gateway.hang_up();
    CHECK(stage.next().kind == LinkEventKind::acknowledged);
    CHECK(stage.next().kind == LinkEventKind::lost);
}

TEST_CASE("direct link: nobody there, garbage and a refusal are failed connects", "[direct_link]") {
    Stage stage;
    for (const std::string& answer : {"\x20\x02\0\5"s, "\x15\x03\x01\0\x02\x02\x46"s}) {
        stage.link.connect();
        stage.gateway.accept();
        stage.turn();
        stage.gateway.send(answer);
        CHECK(stage.next().kind == LinkEventKind::connect_failed);
        stage.gateway.hang_up();
    }
    LinkSettings nowhere{.port = 1};
    Inbox inbox{-1};
    Network network{inbox, nowhere.host, nowhere.port};
    DirectLink link{network, nowhere, 0, std::string{"V0002"}};
    std::vector<LinkEvent> events;
    link.connect();
    while (events.empty()) {
        static_cast<void>(inbox.wait_until(monotonic_now() + 5s));
        inbox.take(events);
    }
    CHECK(events[0].kind == LinkEventKind::connect_failed);
}

TEST_CASE(
    "direct link: during the TLS handshake an end and a plain answer are told apart",
    "[direct_link]"
) {
    const auto made = TlsContext::make({.is_wanted = true});
    const auto context = std::get<std::shared_ptr<const TlsContext>>(made);
    Stage stage;
    DirectLink link{stage.network, stage.settings, 7, std::string{"V0001"}, context.get()};
    for (const std::string& answer : {""s, "\x20\x02\0\0HTTP"s}) {
        link.connect();
        stage.gateway.accept();
        stage.turn();
        CHECK(stage.gateway.read(1) == "\x16"s);  // a handshake record, RFC 8446, 5.1
        if (!answer.empty()) stage.gateway.send(answer);
        if (answer.empty()) stage.gateway.hang_up();
        const LinkEvent failed = stage.next();
        CHECK(failed.kind == LinkEventKind::connect_failed);
        CHECK(is_lasting(failed.seq) == !answer.empty());
        CHECK_FALSE(tls_failure_text(failed.seq).empty());
        stage.gateway.hang_up();
    }
}

TEST_CASE("direct link: what the socket does not take waits, in order", "[direct_link]") {
    Stage stage;
    stage.settings.in_flight_max = 1000;
    stage.connect(false);
    const std::string payload(16'000, 'x');
    constexpr std::uint64_t count = 900;  // 14 MB: more than any socket's buffers
    for (std::uint64_t seq = 1; seq <= count; ++seq)
        REQUIRE(stage.link.publish(seq, payload));
    const std::size_t packet_bytes = 3 + 2 + 24 + 2 + payload.size();
    std::size_t ids_in_order = 0;
    for (std::uint64_t seq = 1; seq <= count; ++seq) {
        std::string packet;
        while (packet.size() < packet_bytes) {
            std::vector<LinkEvent> events;
            stage.inbox.take(events);
            packet += stage.gateway.read(std::min<std::size_t>(4000, packet_bytes - packet.size()));
        }
        const auto high = static_cast<std::uint8_t>(packet[29]);
        if (256U * high + static_cast<std::uint8_t>(packet[30]) == seq) ++ids_in_order;
    }
    CHECK(ids_in_order == count);
}
