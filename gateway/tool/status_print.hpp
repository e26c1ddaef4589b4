#pragma once

#include "gateway/tool/log_source.hpp"
#include "gateway/tool/status_account.hpp"

#include <string>

// What status prints. Pure.
namespace milepost::tool {

[[nodiscard]] std::string status_text(const Status& status);
[[nodiscard]] std::string status_json(const Status& status);
[[nodiscard]] std::string account_text(const StatusAccount& account);
[[nodiscard]] std::string account_json(const StatusAccount& account);

}  // namespace milepost::tool
