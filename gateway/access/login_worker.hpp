#pragma once

#include "gateway/access/password_file.hpp"
#include "gateway/access/scrypt.hpp"
#include "storage/base/bytes.hpp"

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace milepost::access {

// One password to be compared with what is kept of it.
struct LoginJob {
    LoginKey id{};
    Buffer password;
    PasswordEntry entry;
    bool is_known = false;  // else nobody has that name: it takes its time and is wrong
};

// Runs scrypt on a thread of its own, one job at a time, so that the network thread never does and
// memory holds for one. Its priority is the usual one: somebody waits for the answer, and on a busy
// machine a lower one would keep everybody out. Idle it waits.
class LoginWorker {
public:
    // Called on the worker's thread.
    using Done = std::function<void(const LoginKey& id, bool is_right)>;

    LoginWorker(std::size_t queue_max, Done done);
    ~LoginWorker();  // waits for the job that runs; those that wait are dropped
    LoginWorker(const LoginWorker&) = delete;
    LoginWorker& operator=(const LoginWorker&) = delete;

    // Any thread. False: the queue is full.
    bool submit(LoginJob job);
    // Any thread. Whether the job had not begun: it is dropped then.
    bool cancel(const LoginKey& id);

private:
    void run(const std::stop_token& stop);

    std::mutex mutex_;
    std::condition_variable_any has_job_;
    std::deque<LoginJob> queue_;
    std::size_t queue_max_;
    Done done_;
    std::jthread thread_;  // last: it uses the others
};

}  // namespace milepost::access
