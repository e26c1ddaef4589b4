#pragma once

#include "gateway/config.hpp"

#include <memory>

namespace milepost {

// sysexits.h, as scripts and the systemd unit know them.
enum class ExitStatus : int {
    ok = 0,
    run_time = 1,
    usage = 64,
    port_taken = 69,
    disk = 74,
    configuration = 78,
};

// The gateway: builds every room once in the order in which a reading meets them, and stops them in
// reverse. Thread: the one that calls run() is the network thread.
class App {
public:
    explicit App(Config config);
    ~App();
    App(const App&) = delete;
    App& operator=(const App&) = delete;

    // Serves until SIGTERM or SIGINT; says in the log why it did not.
    ExitStatus run();

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace milepost
