#include "gateway/forward/id_wait.hpp"

#include "tests/unit/gateway/forward/scripted_producer.hpp"

#include <catch2/catch.hpp>

#include <chrono>

using namespace milepost;
using namespace milepost::forward;
using milepost::test::ScriptedProducer;
using milepost::test::ScriptedUpstream;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// How often metadata is asked for in the `time` after `from`, in steps of a millisecond.
int asked(IdWait& wait, ScriptedUpstream& upstream, Instant from, Duration time) {
    ScriptedProducer producer{upstream};
    const int before = upstream.metadata_requests;
    for (Instant now = from; now < from + time; now += milliseconds{1})
        wait.turn(producer, now);
    return upstream.metadata_requests - before;
}

}  // namespace

TEST_CASE("id_wait: metadata is asked for soon and then less often, until the id is there") {
    ScriptedUpstream upstream;
    IdWait wait{1};
    const Instant now{seconds{5}};
    wait.begin(now);
    CHECK(asked(wait, upstream, now, milliseconds{200}) >= 3);
    CHECK(wait.has_met_broker());
    const int late = asked(wait, upstream, now + seconds{10}, seconds{10});
    CHECK(late >= 10);
    CHECK(late <= 21);
    CHECK(wait.wait(now + seconds{20}) <= seconds{1});
    wait.end();
    CHECK(asked(wait, upstream, now + seconds{20}, seconds{10}) == 0);
}

TEST_CASE("id_wait: what was asked before there was a broker does not make it ask less often") {
    ScriptedUpstream upstream;
    upstream.answers = false;
    IdWait wait{1};
    const Instant now{seconds{5}};
    wait.begin(now);
    CHECK(asked(wait, upstream, now, seconds{20}) >= 15);
    CHECK_FALSE(wait.has_met_broker());
    upstream.answers = true;
    asked(wait, upstream, now + seconds{20}, seconds{1});
    CHECK(wait.has_met_broker());
    wait.begin(now + seconds{30});
    CHECK_FALSE(wait.has_met_broker());
    CHECK(wait.is_waiting());
    upstream.answers = false;
    asked(wait, upstream, now + seconds{30}, seconds{20});
    upstream.answers = true;
    ScriptedProducer producer{upstream};
    while (!wait.has_met_broker())
        wait.turn(producer, now + seconds{60});
    CHECK(wait.wait(now + seconds{60}) > seconds{0});
    CHECK(asked(wait, upstream, now + seconds{61}, milliseconds{200}) >= 3);
}
