#include "gateway/access/logins.hpp"

#include <algorithm>
#include <utility>

namespace milepost::access {

void Logins::Memory::put(const LoginKey& key, Instant at) {
    young_.insert_or_assign(key, at);
    if (young_.size() < half_max_) return;
    old_ = std::exchange(young_, {});
}

std::optional<Instant> Logins::Memory::find(const LoginKey& key) {
    if (const auto found = young_.find(key); found != young_.end()) return found->second;
    const auto found = old_.find(key);
    if (found == old_.end()) return std::nullopt;
    const Instant at = found->second;
    put(key, at);
    return at;
}

Logins::Logins(const LoginLimits& limits, Post post, Done done)
    : limits_(limits)
    , post_(std::move(post))
    , done_(std::move(done))
    , right_(limits.remembered_max)
    , wrong_(limits.refused_max)
    , self_(std::make_shared<Logins*>(this)) {
    fill_random(secret_);
}

Logins::~Logins() {
    *self_ = nullptr;
}

Login Logins::check(
    const PasswordFile& file,
    std::string_view user,
    Bytes password,
    std::uint64_t tag,
    Instant now
) {
    const PasswordEntry* known = file.find(user);
    if (known != nullptr && known->is_disabled) {
        stats_.refused.add();
        return Login::disabled;
    }
    if (password.size() > password_bytes_max || user.size() > user_bytes_max) {
        stats_.refused.add();
        return Login::wrong;
    }
    const PasswordEntry entry = known != nullptr ? *known
                                                 : PasswordEntry{file.usual_cost(), {}, {}, false};
    const LoginKey id = keyed_hash(secret_, {as_bytes(user), password, entry.salt, entry.key});
    if (right_.find(id)) {
        stats_.remembered.add();
        return Login::right;
    }
    if (const auto at = wrong_.find(id); at && now - *at < limits_.refused_for) {
        stats_.refused.add();
        return Login::wrong;
    }
    const auto others = waiting_.find(id);
    if (others == waiting_.end()) {
        if (!worker_) {
            // Tasks that are posted may outlive this; the worker does not.
            const auto done = [post = post_, self = self_](const LoginKey& key, bool is_right) {
                post([self, key, is_right] {
                    if (*self != nullptr) (*self)->finish(key, is_right, monotonic_now());
                });
            };
            worker_ = std::make_unique<LoginWorker>(limits_.queue_max, done);
        }
        LoginJob job{id, {password.begin(), password.end()}, entry, known != nullptr};
        if (!worker_->submit(std::move(job))) {
            stats_.queue_full.add();
            return Login::busy;
        }
        waiting_.emplace(id, std::vector{tag});
    } else {
        others->second.push_back(tag);
    }
    waits_for_.insert_or_assign(tag, id);
    return Login::pending;
}

void Logins::cancel(std::uint64_t tag) {
    const auto waits = waits_for_.extract(tag);
    if (waits.empty()) return;
    const auto others = waiting_.find(waits.mapped());
    if (others == waiting_.end()) return;  // its answer is there, and is not told
    std::erase(others->second, tag);
    // One that runs already is brought to its end, and remembered.
    if (others->second.empty() && worker_->cancel(others->first)) waiting_.erase(others);
}

void Logins::finish(const LoginKey& id, bool is_right, Instant now) {
    stats_.verified.add();
    (is_right ? right_ : wrong_).put(id, now);
    const auto waited = waiting_.extract(id);
    if (waited.empty()) return;
    const bool is_telling = !answers_.empty();
    for (const std::uint64_t tag : waited.mapped())
        answers_.push_back({tag, is_right});
    if (!is_telling) tell_some();
}

void Logins::tell_some() {
    for (std::size_t i = 0; i < answers_per_task_max && !answers_.empty(); ++i) {
        const Answer answer = answers_.front();
        answers_.pop_front();
        if (waits_for_.erase(answer.tag) == 0) continue;
        if (!answer.is_right) stats_.refused.add();
        done_(answer.tag, answer.is_right ? Login::right : Login::wrong);
    }
    if (!answers_.empty()) tell_soon();
}

void Logins::tell_soon() {
    post_([self = self_] {
        if (*self != nullptr) (*self)->tell_some();
    });
}

}  // namespace milepost::access
