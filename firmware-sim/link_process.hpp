#pragma once

#include "firmware-sim/inbox.hpp"
#include "firmware-sim/link.hpp"
#include "firmware-sim/paho_link.hpp"

#include <cstdint>
#include <string>

#include <sys/types.h>

namespace milepost::fleet {

// A vehicle's PahoLink in a process of its own: the radio beside the firmware. Why: when one Paho
// client (C 1.3.12) resumes a session it sends again the publishes in flight of *all* clients of
// its process, so that a hundred vehicles that come back together send each other's publishes a
// hundred times, and it has corrupted its heap doing so. Alone in a process it resumes correctly.
//
// Commands go down a socket, one message each; events come up the inbox's pipe. The process ends
// when this object does, or with its parent. If it dies, the connection is lost and connect()
// starts another, which knows nothing of what was in flight and says so.
class LinkProcess final : public Link {
public:
    // The program must still have one thread whenever connect() is called: it forks.
    LinkProcess(
        LinkSettings settings,
        std::uint32_t vehicle,
        LinkIdentity identity,
        const Inbox& inbox
    );
    LinkProcess(const LinkProcess&) = delete;
    LinkProcess& operator=(const LinkProcess&) = delete;
    ~LinkProcess() override;

    void connect() override;
    bool publish(std::uint64_t seq, const std::string& payload) override;
    void disconnect() override;
    void step(const LinkEvent& answer) override;

    // Ends the process.
    void abandon() override { stop(); }

    // The same, and what was in flight is forgotten.
    void cut() override;

private:
    struct Command;

    [[nodiscard]] bool start();
    [[nodiscard]] bool send(const Command& command, const std::string& payload);
    void post(LinkEventKind kind) const;
    void stop();

    LinkSettings settings_;
    std::uint32_t vehicle_;
    LinkIdentity identity_;
    const Inbox* inbox_;
    pid_t process_ = -1;
    int socket_ = -1;
};

}  // namespace milepost::fleet
