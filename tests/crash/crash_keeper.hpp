#pragma once

#include "storage/log/keeper.hpp"
#include "tests/support/forgetful_disk.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace milepost::test {

// What meta.db is to a log, as far as crashes go: what was given to it is durable when the call
// returns, and without power nothing is taken.
class CrashKeeper final : public storage::Keeper {
public:
    struct State {
        std::map<std::string, std::string> sessions;
        std::vector<storage::Gap> entries;
        std::string log_id;  // served last
    };

    explicit CrashKeeper(const ForgetfulDisk& disk)
        : disk_(disk) {}

    Result<void> serve(const storage::KeptLog& log) override {
        if (disk_.is_off()) return no_power();
        if (log.origin == storage::LogOrigin::made_behind_segments) take_over(log);
        state.log_id = log.id;
        return {};
    }

    Result<void> fold(std::span<const storage::SessionDelta> deltas) override {
        if (disk_.is_off()) return no_power();
        for (const auto& delta : deltas)
            state.sessions[delta.client_id] = std::string{as_text(delta.state)};
        return {};
    }

    Result<void> record(const storage::Gap& gap) override {
        if (disk_.is_off()) return no_power();
        state.entries.push_back(gap);
        state.entries.back().log_id = state.log_id;
        return {};
    }

    Result<std::vector<storage::Gap>> gaps() override {
        if (disk_.is_off()) return no_power();
        return state.entries;
    }

    State state;

private:
    static ErrorCode no_power() { return {EHOSTDOWN, boost::system::system_category()}; }

    void take_over(const storage::KeptLog& log) {
        for (storage::Gap& gap : state.entries) {
            gap.end = std::min(gap.end, log.reach(gap));
            gap.log_id = log.id;
        }
        std::erase_if(state.entries, [](const auto& gap) { return gap.first >= gap.end; });
    }

    const ForgetfulDisk& disk_;
};

}  // namespace milepost::test
