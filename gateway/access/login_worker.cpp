#include "gateway/access/login_worker.hpp"

#include "storage/base/this_thread.hpp"

#include <algorithm>
#include <utility>

namespace milepost::access {

LoginWorker::LoginWorker(std::size_t queue_max, Done done)
    : queue_max_(queue_max)
    , done_(std::move(done))
    , thread_([this](const std::stop_token& stop) { run(stop); }) {}

LoginWorker::~LoginWorker() {
    thread_.request_stop();
    thread_.join();
    for (LoginJob& job : queue_)
        wipe(job.password);
}

bool LoginWorker::submit(LoginJob job) {
    {
        const std::lock_guard guard{mutex_};
        if (queue_.size() >= queue_max_) {
            wipe(job.password);
            return false;
        }
        queue_.push_back(std::move(job));
    }
    has_job_.notify_one();
    return true;
}

bool LoginWorker::cancel(const LoginKey& id) {
    const std::lock_guard guard{mutex_};
    const auto found = std::ranges::find(queue_, id, &LoginJob::id);
    if (found == queue_.end()) return false;
    wipe(found->password);
    queue_.erase(found);
    return true;
}

void LoginWorker::run(const std::stop_token& stop) {
    this_thread::step_aside();  // not as the network thread, which began this one
    while (true) {
        LoginJob job;
        {
            std::unique_lock lock{mutex_};
            if (!has_job_.wait(lock, stop, [this] { return !queue_.empty(); })) return;
            if (stop.stop_requested()) return;
            job = std::move(queue_.front());
            queue_.pop_front();
        }
        const auto key = scrypt(job.password, job.entry.salt, job.entry.cost);
        wipe(job.password);
        done_(job.id, key && job.is_known && same_key(*key, job.entry.key));
    }
}

}  // namespace milepost::access
