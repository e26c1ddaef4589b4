#pragma once

#include "gateway/tool/reconcile_account.hpp"

#include <string>

namespace milepost::tool {

// One line a figure, `sampled 60000`; what there is no upstream for is `-`.
[[nodiscard]] std::string figures_text(const Figures& figures);
// One object with the same names; null for `-`.
[[nodiscard]] std::string figures_json(const Figures& figures);

}  // namespace milepost::tool
