#pragma once

#include "gateway/access/login_worker.hpp"
#include "gateway/access/password_file.hpp"
#include "gateway/access/scrypt.hpp"
#include "storage/base/stats.hpp"
#include "storage/base/time.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace milepost::access {

struct LoginLimits {
    std::size_t queue_max = 512;           // passwords that wait for their scrypt
    std::size_t remembered_max = 20'000;   // logins that were right
    std::size_t refused_max = 2'000;       // logins that were wrong …
    std::chrono::seconds refused_for{10};  // … are refused unseen for so long
};

// Since the start of the process. Any thread may read.
struct LoginStats {
    Counter verified;    // passwords that scrypt was run for
    Counter remembered;  // logins that were let in without
    Counter refused;     // wrong, or a user that is disabled
    Counter queue_full;  // told to come again
};

enum class Login : std::uint8_t {
    right,
    wrong,
    disabled,
    pending,  // `done` will say
    busy,     // the queue is full: to come again later
};

// Whether passwords are right, without ever waiting for it: scrypt runs on a thread of its own, and
// a login that was right once is remembered, so that a storm of reconnects costs a hash each. What
// is remembered is a hash, keyed with a secret of this process, of the user, the password and the
// entry of the password file: it holds for as long as that entry does. Several that wait for the
// same answer wait for one scrypt.
// Thread: the owner's.
class Logins {
public:
    static constexpr std::size_t answers_per_task_max = 64;

    // Runs a task on the owner's thread, later.
    using Post = std::function<void(std::function<void()>)>;
    using Done = std::function<void(std::uint64_t tag, Login login)>;

    // `done` is called on the owner's thread, from inside a posted task, for each that was pending
    // and not cancelled; for no more than answers_per_task_max in one task, so that thousands who
    // waited for the same scrypt do not keep the thread from its other work. A task that is still
    // posted when this is destroyed does nothing.
    Logins(const LoginLimits& limits, Post post, Done done);
    ~Logins();
    Logins(const Logins&) = delete;
    Logins& operator=(const Logins&) = delete;

    // `tag` is the owner's, of one that waits at most once.
    Login check(
        const PasswordFile& file,
        std::string_view user,
        Bytes password,
        std::uint64_t tag,
        Instant now
    );
    // Whoever waited under `tag` is gone.
    void cancel(std::uint64_t tag);

    [[nodiscard]] const LoginStats& stats() const { return stats_; }

private:
    struct KeyHash {
        std::size_t operator()(const LoginKey& key) const {
            std::size_t hash = 0;  // the key is a keyed hash already
            std::memcpy(&hash, key.data(), sizeof hash);
            return hash;
        }
    };

    // At most `max` entries, the younger half of them for certain: a full half pushes the other
    // out.
    class Memory {
    public:
        explicit Memory(std::size_t max)
            : half_max_(max > 1 ? max / 2 : 1) {}

        void put(const LoginKey& key, Instant at);
        [[nodiscard]] std::optional<Instant> find(const LoginKey& key);

    private:
        std::unordered_map<LoginKey, Instant, KeyHash> young_;
        std::unordered_map<LoginKey, Instant, KeyHash> old_;
        std::size_t half_max_;
    };

    struct Answer {
        std::uint64_t tag;
        bool is_right;
    };

    void finish(const LoginKey& id, bool is_right, Instant now);
    void tell_some();
    void tell_soon();

    LoginLimits limits_;
    Post post_;
    Done done_;
    Secret secret_{};
    Memory right_;
    Memory wrong_;
    std::unordered_map<LoginKey, std::vector<std::uint64_t>, KeyHash> waiting_;
    std::unordered_map<std::uint64_t, LoginKey> waits_for_;
    std::deque<Answer> answers_;  // found, to be told; those that were cancelled too
    LoginStats stats_;
    std::shared_ptr<Logins*> self_;        // what posted tasks know of this
    std::unique_ptr<LoginWorker> worker_;  // with the first job; last: it uses the others
};

}  // namespace milepost::access
