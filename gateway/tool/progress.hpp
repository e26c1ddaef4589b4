#pragma once

#include "storage/base/time.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace milepost::tool {

// One line on stderr that is written over, where stderr is a terminal; nothing else at all.
class Progress {
public:
    explicit Progress(std::string what);
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    ~Progress();

    // Bytes. At most ten times a second something is printed.
    void show(std::uint64_t done, std::uint64_t all);
    // Whether show_text() would print now; asks the clock.
    [[nodiscard]] bool is_due() const;
    // Any text, at once.
    void show_text(std::string_view text);
    // Takes the line away.
    void clear();

private:
    std::string what_;
    bool is_terminal_;
    bool is_shown_ = false;
    Instant begun_;
    Instant last_;
};

}  // namespace milepost::tool
