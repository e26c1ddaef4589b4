// LD_PRELOAD: a fast disk behaves like a slow one. SLOW_SYNC_MS=5: every sync takes 5 ms longer,
// one after the other, as on one device. Writes with RWF_DSYNC are not seen.
#include <dlfcn.h>

#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <mutex>

namespace {

void take_longer() {
    static std::mutex device;
    const char* text = std::getenv("SLOW_SYNC_MS");
    const long ms = text == nullptr ? 0 : std::strtol(text, nullptr, 10);
    if (ms <= 0) return;
    const std::lock_guard guard{device};
    timespec rest{ms / 1000, ms % 1000 * 1'000'000};
    while (::nanosleep(&rest, &rest) != 0 && errno == EINTR) {
    }
}

int after_the_real(const char* name, int descriptor) {
    const auto real = reinterpret_cast<int (*)(int)>(::dlsym(RTLD_NEXT, name));
    const int result = real(descriptor);
    const int error = errno;
    take_longer();
    errno = error;
    return result;
}

}  // namespace

extern "C" int fsync(int descriptor) {
    return after_the_real("fsync", descriptor);
}

extern "C" int fdatasync(int descriptor) {
    return after_the_real("fdatasync", descriptor);
}
