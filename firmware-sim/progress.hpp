#pragma once

#include "firmware-sim/tally.hpp"
#include "storage/base/time.hpp"

#include <cstddef>
#include <string>

namespace milepost::fleet {

// What the fleet says on stderr while it runs: on a terminal one line that is rewritten, elsewhere
// a line whenever the number of connected vehicles has changed, at most one each second.
class Progress {
public:
    enum class Style { none, lines, terminal };

    // From --quiet, whether stderr is a terminal, and the environment's TERM and NO_COLOR.
    [[nodiscard]] static Progress for_stderr(bool is_quiet);

    Progress(Style style, bool in_colour)
        : style_(style)
        , in_colour_(in_colour) {}

    // When show() next has something to do; the far future if never.
    [[nodiscard]] Instant next() const { return next_; }

    // The text to write to stderr at `now`; empty if it is not yet time.
    [[nodiscard]] std::string show(const Tally& tally, std::size_t connected, Instant now);

    // What puts whole lines above the rewritten one, if there is one; empty if nothing is to be
    // said.
    [[nodiscard]] std::string say(const std::string& lines);

    // What ends the rewritten line.
    [[nodiscard]] std::string end() const;

private:
    Style style_;
    bool in_colour_;
    Instant next_{};
    std::size_t last_connected_ = 0;
    bool has_shown_ = false;
};

}  // namespace milepost::fleet
