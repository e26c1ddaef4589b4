#pragma once

#include <cstdio>
#include <cstdlib>

namespace milepost {

[[noreturn]] inline void check_failed(const char* expression, const char* file, int line) {
    std::fprintf(stderr, "milepost: check failed: %s (%s:%d)\n", expression, file, line);
    std::abort();
}

}  // namespace milepost

// For what only a bug of ours can break; on in every build. Never for input from outside.
#define MILEPOST_CHECK(expression)       \
    ((expression) ? static_cast<void>(0) \
                  : ::milepost::check_failed(#expression, __FILE__, __LINE__))
