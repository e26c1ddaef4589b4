#pragma once

#include "firmware-sim/inbox.hpp"
#include "firmware-sim/link.hpp"
#include "firmware-sim/radio.hpp"
#include "firmware-sim/random.hpp"
#include "storage/base/time.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

namespace milepost::fleet {

// A link through the air: what is published takes its time, and coverage comes and goes as a
// RadioProfile says. The whole round trip is spent on the way out, so that an acknowledgement is as
// late as it would be. A connection that ends for want of coverage is cut, without a goodbye;
// sometimes just after what was on its way has arrived, so that only the acknowledgement is lost.
class RadioLink final : public Link {
public:
    // `speed`: the vehicles' seconds in a real one. `inbox` outlives the link. Clear at first.
    RadioLink(
        std::unique_ptr<Link> inner,
        std::uint32_t vehicle,
        std::uint64_t seed,
        double speed,
        Inbox& inbox
    );

    // The vehicle is now where it is like that. `profile` outlives the link.
    void tune(const RadioProfile& profile, Instant now);

    // Another connection behind the same air; the old one is gone without a goodbye.
    void replace(std::unique_ptr<Link> inner);

    // The gateway has no session: nothing of what was on its way is of use.
    void forget_held() { held_.clear(); }

    // There is a connection, or it has room: it may take again what it did not take before.
    void resume() { is_blocked_ = false; }

    // When turn() has something to do; the far future if never.
    [[nodiscard]] Instant next_turn() const;

    // Does what is due at `now`. True if coverage has come back: a good moment to connect.
    [[nodiscard]] bool turn(Instant now);

    void connect() override;
    bool publish(std::uint64_t seq, const std::string& payload) override;
    void disconnect() override;

    void step(const LinkEvent& answer) override { inner_->step(answer); }

    void abandon() override;
    void cut() override;

private:
    struct Held {
        Instant release;
        std::uint64_t seq;
        std::string payload;
    };

    [[nodiscard]] Duration draw(const TimeSpan& span);
    [[nodiscard]] Duration draw_delay();
    void release_until(Instant now);

    std::unique_ptr<Link> inner_;
    std::uint32_t vehicle_;
    Random random_;
    double speed_;
    Inbox* inbox_;
    const RadioProfile* profile_;
    bool is_covered_ = true;
    bool is_blocked_ = false;  // what is due was not taken: it waits for resume()
    Instant change_at_ = Instant::max();
    std::deque<Held> held_;  // rising moments
};

}  // namespace milepost::fleet
