#pragma once

#include <string>
#include <vector>

namespace milepost::tool {

// Rows of cells, the first one the head; columns are as wide as their widest cell. Pure.
struct Table {
    std::vector<bool> right_aligned;  // per column
    std::vector<std::vector<std::string>> rows;

    [[nodiscard]] std::string text() const;
};

// Amounts for people: "12.3 MiB", "1 h 02 min", "0.8 s".
[[nodiscard]] std::string bytes_text(double bytes);
[[nodiscard]] std::string seconds_text(double seconds);

}  // namespace milepost::tool
