// Only for the tsan preset. librdkafka starts its threads with C11's thrd_create, which gcc 12's
// ThreadSanitizer does not intercept: a thread that it does not know crashes at its first
// instrumented call. So they are started by pthread_create, which it does know.
#include <pthread.h>

#include <cerrno>
#include <cstdint>
#include <ctime>

namespace {

constexpr int success = 0;  // thrd_success, thrd_error of glibc's <threads.h>
constexpr int busy = 1;
constexpr int error = 2;
constexpr int timed_out = 4;

struct Start {
    int (*function)(void*);
    void* argument;
};

void* run(void* opaque) {
    auto* start = static_cast<Start*>(opaque);
    const Start copy = *start;
    delete start;
    return reinterpret_cast<void*>(static_cast<std::intptr_t>(copy.function(copy.argument)));
}

}  // namespace

extern "C" {

int thrd_create(pthread_t* thread, int (*function)(void*), void* argument) {
    auto* start = new Start{.function = function, .argument = argument};
    if (pthread_create(thread, nullptr, run, start) == 0) return success;
    delete start;
    return error;
}

int thrd_join(pthread_t thread, int* result) {
    void* returned = nullptr;
    if (pthread_join(thread, &returned) != 0) return error;
    if (result != nullptr) *result = static_cast<int>(reinterpret_cast<std::intptr_t>(returned));
    return success;
}

// Its locks: glibc's mtx_t and cnd_t are pthread_mutex_t and pthread_cond_t under another name, and
// only by those names does the sanitizer see who waited for whom.
int mtx_init(pthread_mutex_t* mutex, int /*type*/) {
    return pthread_mutex_init(mutex, nullptr) == 0 ? success : error;
}

int mtx_lock(pthread_mutex_t* mutex) {
    return pthread_mutex_lock(mutex) == 0 ? success : error;
}

int mtx_trylock(pthread_mutex_t* mutex) {
    return pthread_mutex_trylock(mutex) == 0 ? success : busy;
}

int mtx_unlock(pthread_mutex_t* mutex) {
    return pthread_mutex_unlock(mutex) == 0 ? success : error;
}

void mtx_destroy(pthread_mutex_t* mutex) {
    pthread_mutex_destroy(mutex);
}

int cnd_init(pthread_cond_t* condition) {
    return pthread_cond_init(condition, nullptr) == 0 ? success : error;
}

int cnd_signal(pthread_cond_t* condition) {
    return pthread_cond_signal(condition) == 0 ? success : error;
}

int cnd_broadcast(pthread_cond_t* condition) {
    return pthread_cond_broadcast(condition) == 0 ? success : error;
}

int cnd_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
    return pthread_cond_wait(condition, mutex) == 0 ? success : error;
}

int cnd_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex, const timespec* until) {
    const int result = pthread_cond_timedwait(condition, mutex, until);
    if (result == ETIMEDOUT) return timed_out;
    return result == 0 ? success : error;
}

void cnd_destroy(pthread_cond_t* condition) {
    pthread_cond_destroy(condition);
}

// What is left inside it are atomics that it was compiled with.
const char* __tsan_default_suppressions() {
    return "race:librdkafka.so\nmutex:librdkafka.so\ndeadlock:librdkafka.so\nthread:librdkafka."
           "so\n";
}
}
