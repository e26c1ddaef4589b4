#include "firmware-sim/paho_link.hpp"

#include "firmware-sim/inbox.hpp"
#include "storage/base/time.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace milepost;
using namespace milepost::fleet;
using namespace std::chrono_literals;

namespace {

constexpr int patience_ms = 20'000;

constexpr int connect_patience_ms = 5000;

bool is_readable(int fd, int patience) {
    pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
    return ::poll(&entry, 1, patience) == 1;
}

struct Packet {
    std::uint8_t header;
    std::string body;

    [[nodiscard]] bool is_publish() const { return header >> 4U == 3; }

    [[nodiscard]] bool is_dup() const { return (header & 8U) != 0; }

    // MQTT 3.1.1, 3.3: topic, packet id, payload.
    [[nodiscard]] std::size_t topic_end() const {
        return 2 + 256U * static_cast<std::uint8_t>(body[0]) + static_cast<std::uint8_t>(body[1]);
    }

    [[nodiscard]] unsigned id() const {
        return 256U * static_cast<std::uint8_t>(body[topic_end()]) +
               static_cast<std::uint8_t>(body[topic_end() + 1]);
    }

    [[nodiscard]] std::string payload(MqttVersion version) const {
        return body.substr(topic_end() + (version == MqttVersion::v5 ? 3 : 2));
    }
};

// A gateway that is played by the test, one packet after the other.
class PlayedGateway {
public:
    PlayedGateway()
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

    ~PlayedGateway() {
        hang_up();
        ::close(listener_);
    }

    PlayedGateway(const PlayedGateway&) = delete;
    PlayedGateway& operator=(const PlayedGateway&) = delete;

    [[nodiscard]] std::uint16_t port() const { return ntohs(address_.sin_port); }

    // Takes the next connection and answers its CONNECT, which it gives; nothing if none comes.
    std::optional<Packet> welcome(MqttVersion version, bool session_present) {
        hang_up();
        if (!is_readable(listener_, connect_patience_ms)) return std::nullopt;
        connection_ = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        const Packet connect = next();
        const char flag = session_present ? '\1' : '\0';
        send(
            version == MqttVersion::v5 ? std::string{'\x20', '\3', flag, '\0', '\0'}
                                       : std::string{'\x20', '\2', flag, '\0'}
        );
        return connect;
    }

    Packet next() {
        const auto header = static_cast<std::uint8_t>(take(1)[0]);
        std::size_t length = 0;
        for (unsigned shift = 0;; shift += 7) {
            const auto byte = static_cast<std::uint8_t>(take(1)[0]);
            length |= static_cast<std::size_t>(byte & 0x7fU) << shift;
            if ((byte & 0x80U) == 0) break;
        }
        return {.header = header, .body = take(length)};
    }

    void acknowledge(unsigned id) {
        send({'\x40', '\2', static_cast<char>(id >> 8U), static_cast<char>(id & 0xffU)});
    }

    void send(const std::string& bytes) {
        REQUIRE(::send(connection_, bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0);
    }

    void hang_up() {
        if (connection_ >= 0) ::close(connection_);
        connection_ = -1;
    }

private:
    std::string take(std::size_t count) {
        std::string bytes;
        while (bytes.size() < count) {
            if (!is_readable(connection_, patience_ms)) {
                throw std::runtime_error{"the link is silent"};
            }
            std::array<char, 4096> some{};
            const ssize_t got =
                ::recv(connection_, some.data(), std::min(some.size(), count - bytes.size()), 0);
            if (got <= 0) throw std::runtime_error{"the link hung up"};
            bytes.append(some.data(), static_cast<std::size_t>(got));
        }
        return bytes;
    }

    int listener_;
    int connection_ = -1;
    sockaddr_in address_{};
};

// The next event of a link, which may ask for a step meanwhile.
class Events {
public:
    explicit Events(Inbox& inbox)
        : inbox_(&inbox) {}

    LinkEvent next(Link& link) {
        const Instant until = monotonic_now() + std::chrono::milliseconds{patience_ms};
        for (;;) {
            while (at_ < events_.size()) {
                const LinkEvent event = events_[at_++];
                if (event.kind != LinkEventKind::step) return event;
                link.step(event);
            }
            if (monotonic_now() > until) throw std::runtime_error{"the link says nothing"};
            [[maybe_unused]] const bool stop = inbox_->wait_until(until);
            inbox_->take(events_);
            at_ = 0;
        }
    }

private:
    Inbox* inbox_;
    std::vector<LinkEvent> events_;
    std::size_t at_ = 0;
};

struct Stage {
    explicit Stage(MqttVersion used)
        : version(used)
        , link({.port = gateway.port(), .version = used}, 0, std::string{"V0001"}, inbox.sink()) {}

    // Paho may answer a connect that comes right after a loss with a failure: again, then, as the
    // fleet does.
    LinkEvent connect(bool session_present) {
        for (int tries = 0; tries < 5; ++tries) {
            link.connect();
            const auto packet = gateway.welcome(version, session_present);
            LinkEvent event = events.next(link);
            if (event.kind == LinkEventKind::connect_failed || !packet) continue;
            hello = *packet;
            return event;
        }
        throw std::runtime_error{"the link does not connect"};
    }

    MqttVersion version;
    PlayedGateway gateway;
    Inbox inbox{-1};
    Events events{inbox};
    PahoLink link;
    Packet hello{};
};

}  // namespace

TEST_CASE("paho link: a session that is resumed gets the same packet ids with DUP", "[paho_link]") {
    for (const auto version : {MqttVersion::v311, MqttVersion::v5}) {
        Stage stage{version};
        CHECK_FALSE(stage.connect(false).session_present);
        std::vector<unsigned> ids;
        for (std::uint64_t seq = 1; seq <= 3; ++seq) {
            REQUIRE(stage.link.publish(seq, "reading " + std::to_string(seq)));
            const Packet publish = stage.gateway.next();
            REQUIRE(publish.is_publish());
            CHECK_FALSE(publish.is_dup());
            CHECK(publish.payload(version) == "reading " + std::to_string(seq));
            ids.push_back(publish.id());
        }
        stage.gateway.acknowledge(ids[0]);
        const LinkEvent first = stage.events.next(stage.link);
        CHECK(first.kind == LinkEventKind::acknowledged);
        CHECK(first.seq == 1);
        stage.gateway.hang_up();
        CHECK(stage.events.next(stage.link).kind == LinkEventKind::lost);
        CHECK_FALSE(stage.link.publish(4, "too late"));

        const LinkEvent back = stage.connect(true);
        CHECK(back.kind == LinkEventKind::connected);
        CHECK(back.session_present);
        for (std::uint64_t seq = 2; seq <= 3; ++seq) {
            const Packet publish = stage.gateway.next();
            CHECK(publish.is_dup());
            CHECK(publish.id() == ids[seq - 1]);
            CHECK(publish.payload(version) == "reading " + std::to_string(seq));
            stage.gateway.acknowledge(publish.id());
            const LinkEvent answer = stage.events.next(stage.link);
            CHECK(answer.kind == LinkEventKind::acknowledged);
            CHECK(answer.seq == seq);
        }
    }
}

TEST_CASE("paho link: without the session everything in flight comes back first", "[paho_link]") {
    Stage stage{MqttVersion::v311};
    stage.connect(false);
    for (std::uint64_t seq = 1; seq <= 2; ++seq) {
        REQUIRE(stage.link.publish(seq, "reading"));
        stage.gateway.next();
    }
    stage.gateway.hang_up();
    CHECK(stage.events.next(stage.link).kind == LinkEventKind::lost);
    LinkEvent event = stage.connect(false);
    for (std::uint64_t seq = 1; seq <= 2; ++seq) {
        CHECK(event.kind == LinkEventKind::given_back);
        CHECK(event.seq == seq);
        event = stage.events.next(stage.link);
    }
    CHECK(event.kind == LinkEventKind::connected);
    CHECK_FALSE(event.session_present);
}

TEST_CASE("paho link: it asks for a kept session, in version 5 for a day", "[paho_link]") {
    // 3.1.2.3: the flags are the eighth byte, bit 1 is clean session / clean start.
    Stage old{MqttVersion::v311};
    old.connect(false);
    CHECK((static_cast<unsigned>(old.hello.body[7]) & 2U) == 0);
    Stage stage{MqttVersion::v5};
    stage.connect(false);
    CHECK((static_cast<unsigned>(stage.hello.body[7]) & 2U) == 0);
    // 3.1.2.11.2: property 0x11, four bytes: 86,400 s.
    CHECK(stage.hello.body.substr(10, 6) == std::string{'\5', '\x11', '\0', '\1', '\x51', '\x80'});
}

TEST_CASE("paho link: a refusal of version 5 is told from a lost publish", "[paho_link]") {
    Stage stage{MqttVersion::v5};
    stage.connect(false);
    REQUIRE(stage.link.publish(1, "reading"));
    const unsigned id = stage.gateway.next().id();
    stage.gateway.send({'\x40', '\4', '\0', static_cast<char>(id), '\x97', '\0'});
    const LinkEvent event = stage.events.next(stage.link);
    CHECK(event.kind == LinkEventKind::refused);
    CHECK(event.seq == 1);
    CHECK(event.code == 0x97);
}

TEST_CASE("paho link: a gateway that is not there is a failed connect", "[paho_link]") {
    Stage stage{MqttVersion::v311};
    Inbox inbox{-1};
    Events events{inbox};
    PahoLink link{{.port = 1, .version = MqttVersion::v311}, 0, std::string{"V0002"}, inbox.sink()};
    for (int i = 0; i < 2; ++i) {
        link.connect();
        CHECK(events.next(link).kind == LinkEventKind::connect_failed);
    }
}
