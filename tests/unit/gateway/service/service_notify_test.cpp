#include "gateway/service_notify.hpp"

#include "tests/support/temp_dir.hpp"
#include "tests/support/wait_until.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <cstddef>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

using namespace milepost;
using namespace std::chrono_literals;

constexpr auto patience = 10s;

// The service manager's end: a bound datagram socket. Linux chooses an abstract name where none is
// given (unix(7), autobind).
class Manager {
public:
    explicit Manager(const std::string& path = {})
        : descriptor_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un place{};
        place.sun_family = AF_UNIX;
        socklen_t size = sizeof(sa_family_t);
        if (!path.empty()) {
            std::memcpy(place.sun_path, path.data(), path.size());
            size = sizeof(place);
        }
        REQUIRE(::bind(descriptor_, reinterpret_cast<sockaddr*>(&place), size) == 0);
        size = sizeof(place);
        REQUIRE(::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&place), &size) == 0);
        if (!path.empty()) {
            address_ = path;
        } else {
            address_ = "@" +
                       std::string{&place.sun_path[1], size - offsetof(sockaddr_un, sun_path) - 1};
        }
    }

    ~Manager() { ::close(descriptor_); }

    Manager(const Manager&) = delete;
    Manager& operator=(const Manager&) = delete;

    [[nodiscard]] const std::string& address() const { return address_; }

    // The next datagram; empty when none comes in time.
    std::string receive() {
        pollfd ready{descriptor_, POLLIN, 0};
        const auto limit_ms = std::chrono::milliseconds{patience}.count();
        if (::poll(&ready, 1, static_cast<int>(limit_ms)) != 1) return {};
        std::array<char, 1024> bytes{};
        const auto size = ::recv(descriptor_, bytes.data(), bytes.size(), 0);
        return {bytes.data(), static_cast<std::size_t>(size)};
    }

    // The first datagram that holds `line`, or does not; empty when `limit` come that do not fit.
    std::string receive_with(std::string_view line, bool holds = true, int limit = 1000) {
        for (int i = 0; i < limit; ++i) {
            std::string lines = receive();
            if ((lines.find(line) != std::string::npos) == holds) return lines;
        }
        return {};
    }

private:
    int descriptor_;
    std::string address_;
};

// A network thread's loop that the test turns, or does not.
struct Gateway {
    ServiceNotify::Watched watched() {
        return {
            [this](auto task) {
                const std::lock_guard guard{mutex};
                if (is_going_round) return task();
                posted.push_back(std::move(task));
            },
            [this] {
                const std::lock_guard guard{mutex};
                return facts;
            }};
    }

    void turn() {
        const std::lock_guard guard{mutex};
        for (const auto& task : std::exchange(posted, {}))
            task();
    }

    void set_facts(ServiceFacts now) {
        const std::lock_guard guard{mutex};
        facts = std::move(now);
    }

    void set_going_round(bool is_so) {
        const std::lock_guard guard{mutex};
        is_going_round = is_so;
    }

    std::mutex mutex;
    bool is_going_round = true;
    std::vector<std::function<void()>> posted;
    ServiceFacts facts;
};

ServiceFacts facts_of(std::uint64_t readings, std::string intake_closed = {}) {
    return {readings, std::move(intake_closed), std::nullopt};
}

ServiceFacts waiting(Duration disk_waits, std::uint64_t readings = 0) {
    return {readings, {}, disk_waits};
}

ServiceNotify make(const Manager& manager, Gateway& gateway, Duration period = 1ms) {
    return {NotifySocket::open(manager.address()).value(), period, gateway.watched()};
}

}  // namespace

TEST_CASE("service: a datagram reaches a socket in a folder and an abstract one", "[service]") {
    const test::TempDir dir;
    Manager in_folder{(dir.path() / "notify").string()};
    REQUIRE(NotifySocket::open(in_folder.address())->send("READY=1\nSTATUS=here"));
    REQUIRE(in_folder.receive() == "READY=1\nSTATUS=here");

    Manager abstract;
    REQUIRE(NotifySocket::open(abstract.address())->send("STOPPING=1"));
    REQUIRE(abstract.receive() == "STOPPING=1");
}

TEST_CASE("service: an address that is none is refused, a manager that is gone is no harm") {
    for (const std::string& address :
         {std::string{},
          std::string{"/"},
          std::string{"@"},
          std::string{"notify"},
          std::string{"vsock:2:1"},
          "/" + std::string(107, 'a')}) {
        INFO(address);
        REQUIRE_FALSE(NotifySocket::open(address));
    }
    REQUIRE(NotifySocket::open("/" + std::string(106, 'a')));
    REQUIRE_FALSE(NotifySocket::open("/nowhere/notify")->send("READY=1"));
}

TEST_CASE("service: nothing is said before READY, and READY comes once", "[service]") {
    Manager manager;
    Gateway gateway;
    auto notify = make(manager, gateway);
    notify.ready();
    REQUIRE(manager.receive() == "READY=1\nWATCHDOG=1\nSTATUS=0.0 readings/s");
    REQUIRE(manager.receive_with("READY=1", false).starts_with("WATCHDOG=1\nSTATUS="));
    notify.ready();
    REQUIRE(manager.receive_with("READY=1", true, 20).empty());
}

TEST_CASE("service: a gateway that fails before it serves says nothing", "[service]") {
    Manager manager;
    Gateway gateway;
    { auto notify = make(manager, gateway); }
    REQUIRE(NotifySocket::open(manager.address())->send("the end"));
    REQUIRE(manager.receive() == "the end");
}

TEST_CASE("service: STOPPING is sent although the gateway goes at once", "[service]") {
    Manager manager;
    Gateway gateway;
    {
        auto notify = make(manager, gateway, 1h);
        notify.ready();
        REQUIRE(manager.receive().starts_with("READY=1\n"));
        notify.stopping();
    }
    REQUIRE(manager.receive().starts_with("STOPPING=1\nSTATUS="));
}

TEST_CASE("service: pings go on while the gateway stops and no loop goes round", "[service]") {
    Manager manager;
    Gateway gateway;
    gateway.set_going_round(false);
    auto notify = make(manager, gateway);
    notify.ready();
    notify.stopping();
    REQUIRE_FALSE(manager.receive_with("STOPPING=1").empty());
    REQUIRE(manager.receive() == "WATCHDOG=1");
    REQUIRE(manager.receive() == "WATCHDOG=1");
}

TEST_CASE("service: a loop that does not go round is not pinged for until it does", "[service]") {
    Manager manager;
    Gateway gateway;
    gateway.set_going_round(false);
    auto notify = make(manager, gateway);
    notify.ready();
    REQUIRE(manager.receive().find("WATCHDOG=1") != std::string::npos);  // the probe is out
    REQUIRE(manager.receive_with("WATCHDOG=1", true, 20).empty());
    gateway.turn();
    REQUIRE_FALSE(manager.receive_with("WATCHDOG=1").empty());
}

TEST_CASE(
    "service: a loop that waits for the disk is pinged for, and the disk named",
    "[service]"
) {
    Manager manager;
    Gateway gateway;
    gateway.set_going_round(false);
    gateway.set_facts(waiting(61s));
    auto notify = make(manager, gateway);
    notify.ready();
    REQUIRE_FALSE(manager.receive().empty());
    for (int i = 0; i < 20; ++i) {
        REQUIRE(
            manager.receive() ==
            "WATCHDOG=1\nSTATUS=no readings are acknowledged: the disk has not answered for 61 s"
        );
    }
    // The disk has answered, the loop still does not: that is no wait for the disk.
    gateway.set_facts({});
    REQUIRE_FALSE(manager.receive_with("WATCHDOG=1", false).empty());
    REQUIRE(manager.receive_with("WATCHDOG=1", true, 20).empty());
}

TEST_CASE("service: a probe may be answered after everything is gone", "[service]") {
    Manager manager;
    Gateway gateway;
    gateway.set_going_round(false);
    {
        auto notify = make(manager, gateway);
        notify.ready();
        REQUIRE_FALSE(manager.receive().empty());
    }
    REQUIRE_FALSE(gateway.posted.empty());
    gateway.turn();
}

TEST_CASE("service: the status is the rate, or why there is none", "[service]") {
    REQUIRE(service_status(facts_of(100), facts_of(250), 10s) == "15.0 readings/s");
    REQUIRE(service_status(facts_of(7), facts_of(7), 0s) == "0.0 readings/s");
    REQUIRE(
        service_status(facts_of(0), facts_of(9, "the disk is full"), 1s) ==
        "no readings are taken in: the disk is full"
    );
    REQUIRE(service_status(facts_of(0), waiting(999ms, 5), 5s) == "1.0 readings/s");
    auto both = waiting(1s);
    both.intake_closed = "the journal is full";
    REQUIRE(
        service_status(facts_of(0), both, 5s) ==
        "no readings are acknowledged: the disk has not answered for 1 s"
    );
}

TEST_CASE("service: the watchdog's interval is taken only from a sane environment", "[service]") {
    REQUIRE(watchdog_interval("60000000", nullptr, 7) == 60s);
    REQUIRE(watchdog_interval("60000000", "7", 7) == 60s);
    REQUIRE_FALSE(watchdog_interval("60000000", "8", 7));
    REQUIRE_FALSE(watchdog_interval("60000000", "7x", 7));
    REQUIRE_FALSE(watchdog_interval(nullptr, nullptr, 7));
    for (const char* text : {"", "0", "-1", "1s", "99999999999999999999", "86400000001"}) {
        INFO(text);
        REQUIRE_FALSE(watchdog_interval(text, nullptr, 7));
    }
}

TEST_CASE("service: no socket in the environment, no notifier", "[service]") {
    Gateway gateway;
    ::unsetenv("NOTIFY_SOCKET");
    REQUIRE(ServiceNotify::from_environment(gateway.watched()) == nullptr);
    ::setenv("NOTIFY_SOCKET", "nonsense", 1);
    REQUIRE(ServiceNotify::from_environment(gateway.watched()) == nullptr);
    Manager manager;
    ::setenv("NOTIFY_SOCKET", manager.address().c_str(), 1);
    const auto notify = ServiceNotify::from_environment(gateway.watched());
    ::unsetenv("NOTIFY_SOCKET");
    REQUIRE(notify != nullptr);
    notify->ready();
    REQUIRE(manager.receive().starts_with("READY=1\n"));
}
