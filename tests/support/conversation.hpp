#pragma once

#include "tests/support/scripted_device.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace milepost::test {

// A whole conversation as a script, to be played in one piece, in other pieces, and cut anywhere.
class Conversation {
public:
    explicit Conversation(mqtt::Limits limits = {})
        : limits_(limits) {}

    Conversation& device(Buffer bytes) {
        steps_.push_back({std::move(bytes), {}, {}});
        return *this;
    }

    Conversation& owner(std::function<void(ScriptedDevice&)> act) {
        steps_.push_back({{}, std::move(act), {}});
        return *this;
    }

    Conversation& accepts(mqtt::Acceptance acceptance = {}) {
        return owner([acceptance](ScriptedDevice& device) { device.is_accepted(acceptance); });
    }

    Conversation& refuses(mqtt::ReasonCode reason) {
        return owner([reason](ScriptedDevice& device) { device.is_refused(reason); });
    }

    Conversation& after_sync() {
        return owner([](ScriptedDevice& device) { device.is_synced(); });
    }

    // What must have come out since the last such step; empty: nothing.
    Conversation& gateway(Buffer expected) {
        steps_.push_back({{}, {}, std::move(expected)});
        steps_.back().is_expectation = true;
        return *this;
    }

    Conversation& closes(mqtt::Errc why) {
        closes_ = why;
        return *this;
    }

    // Plays it as written, in pieces of every small size, and cut after every step and byte.
    void holds() const {
        plays(whole);
        for (const std::size_t chunk_bytes : {1U, 2U, 3U, 7U, 50U}) {
            plays(chunk_bytes);
        }
        survives_a_cut_after_each_byte();
    }

    void plays(std::size_t chunk_bytes) const {
        ScriptedDevice device{limits_, chunk_bytes};
        for (const Step& step : steps_) {
            if (step.is_expectation) {
                check_out(device.take_out(), step.expected);
            } else {
                play(step, step.bytes, device);
            }
        }
        check_out(device.out(), {});
        CHECK(mqtt::text_of(device.session().closed_because()) == std::string{text_of(closes_)});
    }

    // The connection ends after any byte of the device's. Whatever the place: nothing is answered
    // or handed over that the whole conversation does not answer and hand over up to there, nothing
    // comes out afterwards, and what was in flight is known.
    void survives_a_cut_after_each_byte() const {
        ScriptedDevice uncut{limits_};
        for (const Step& step : steps_) {
            play(step, step.bytes, uncut);
        }
        for (std::size_t cut_step = 0; cut_step < steps_.size(); ++cut_step) {
            const std::size_t bytes = steps_[cut_step].bytes.size();
            for (std::size_t cut = 0; cut <= bytes; ++cut) {
                plays_until(cut_step, cut, uncut);
            }
        }
    }

private:
    static constexpr std::size_t whole = 0xFFFFFFFF;

    struct Step {
        Buffer bytes;
        std::function<void(ScriptedDevice&)> act;
        Buffer expected;
        bool is_expectation = false;
    };

    static void check_out(Bytes got, Bytes expected) { CHECK(hex(got) == hex(expected)); }

    static void play(const Step& step, Bytes bytes, ScriptedDevice& device) {
        if (!bytes.empty()) device.sends(bytes);
        if (step.act) step.act(device);
    }

    void plays_until(std::size_t cut_step, std::size_t cut, const ScriptedDevice& uncut) const {
        ScriptedDevice device{limits_};
        for (std::size_t i = 0; i < cut_step; ++i) {
            play(steps_[i], steps_[i].bytes, device);
        }
        if (cut != 0) device.sends(Bytes{steps_[cut_step].bytes}.first(cut));

        const auto is_start_of = [](const auto& part, const auto& all) {
            return part.size() <= all.size() && std::equal(part.begin(), part.end(), all.begin());
        };
        const bool is_consistent = is_start_of(device.out(), uncut.out()) &&
                                   is_start_of(device.events(), uncut.events());
        const std::size_t in_flight = device.session().in_flight();
        const bool is_counted = device.session().is_closed() ||
                                in_flight == device.tickets().size();
        Buffer late;
        device.session().disconnect(mqtt::ReasonCode::unspecified_error, late);
        late.clear();
        for (const mqtt::Ticket ticket : device.tickets()) {
            device.session().publish_done(ticket, mqtt::ReasonCode::success, late);
            device.session().subscribe_done(ticket, {}, late);
        }
        INFO("cut in step " << cut_step << " after byte " << cut);
        CHECK((is_consistent && is_counted && late.empty() && device.session().is_closed()));
    }

    mqtt::Limits limits_;
    std::vector<Step> steps_;
    mqtt::Errc closes_ = mqtt::Errc::none;
};

}  // namespace milepost::test
