#include "gateway/access/login_worker.hpp"

#include "tests/unit/gateway/access/cheap.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <future>
#include <map>
#include <mutex>

namespace milepost::access {

namespace {

LoginKey id_of(unsigned number) {
    return LoginKey{static_cast<std::byte>(number)};
}

LoginJob job_of(unsigned number, const PasswordEntry& entry, std::string_view password) {
    const Bytes bytes = as_bytes(password);
    return {id_of(number), {bytes.begin(), bytes.end()}, entry, true};
}

}  // namespace

TEST_CASE("login worker: it says of each password whether it is right", "[access]") {
    const auto entry = make_entry(as_bytes("secret"), cheap).value();
    std::mutex mutex;
    std::map<LoginKey, bool> said;
    std::promise<void> all;
    LoginWorker worker{10, [&](const LoginKey& id, bool is_right) {
                           const std::lock_guard guard{mutex};
                           said[id] = is_right;
                           if (said.size() == 3) all.set_value();
                       }};
    CHECK(worker.submit(job_of(1, entry, "secret")));
    CHECK(worker.submit(job_of(2, entry, "Secret")));
    LoginJob unknown = job_of(3, entry, "secret");
    unknown.is_known = false;
    CHECK(worker.submit(std::move(unknown)));
    REQUIRE(all.get_future().wait_for(limit) == std::future_status::ready);
    const std::lock_guard guard{mutex};
    CHECK(said == std::map<LoginKey, bool>{{id_of(1), true}, {id_of(2), false}, {id_of(3), false}});
}

TEST_CASE("login worker: a full queue says so, and what waits can be dropped", "[access]") {
    const auto entry = make_entry(as_bytes("secret"), cheap).value();
    std::promise<void> begun;
    std::promise<void> go_on;
    std::promise<void> last;
    std::atomic<bool> is_cancelled_run{false};  // Catch2 is of one thread
    auto may_go_on = go_on.get_future().share();
    LoginWorker worker{2, [&, may_go_on](const LoginKey& id, bool) {
                           if (id == id_of(1)) begun.set_value();
                           may_go_on.wait();
                           if (id == id_of(4)) last.set_value();
                           if (id == id_of(2)) is_cancelled_run = true;
                       }};
    REQUIRE(worker.submit(job_of(1, entry, "secret")));
    REQUIRE(begun.get_future().wait_for(limit) == std::future_status::ready);
    CHECK(worker.submit(job_of(2, entry, "secret")));
    CHECK(worker.submit(job_of(3, entry, "secret")));
    CHECK_FALSE(worker.submit(job_of(4, entry, "secret")));
    CHECK(worker.cancel(id_of(2)));
    CHECK_FALSE(worker.cancel(id_of(2)));
    CHECK_FALSE(worker.cancel(id_of(1)));  // it runs
    CHECK(worker.submit(job_of(4, entry, "secret")));
    go_on.set_value();
    CHECK(last.get_future().wait_for(limit) == std::future_status::ready);
    CHECK_FALSE(is_cancelled_run);
}

}  // namespace milepost::access
