#include "gateway/tool/stop_signal.hpp"

#include <csignal>

namespace milepost::tool {

namespace {

volatile std::sig_atomic_t stop_asked = 0;

void ask_to_stop(int /*signal*/) {
    stop_asked = 1;
}

}  // namespace

void listen_for_stop() {
    std::signal(SIGINT, ask_to_stop);
    std::signal(SIGTERM, ask_to_stop);
}

bool is_stop_asked() {
    return stop_asked != 0;
}

}  // namespace milepost::tool
