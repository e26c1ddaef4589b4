#pragma once

// SIGINT and SIGTERM as a question that a long command asks from time to time.
namespace milepost::tool {

// From now on they do not end the program.
void listen_for_stop();
[[nodiscard]] bool is_stop_asked();

}  // namespace milepost::tool
