#pragma once

#include "gateway/admin/snapshot.hpp"
#include "gateway/admin/sources.hpp"
#include "gateway/admin/target.hpp"
#include "storage/base/units.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// The pages: a target in, a response out. Knows no socket and does not wait.
namespace milepost::admin {

struct Response {
    unsigned status = 200;
    std::string content_type = "application/json";
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers{};
};

inline constexpr std::size_t batches_bytes_default = mib;
inline constexpr std::size_t batches_bytes_max = 8 * mib;
inline constexpr std::chrono::milliseconds batches_wait_max{30'000};

// GET of any page. /api/v1/batches answers with what is there now, which may be nothing.
[[nodiscard]] Response answer(const Sources& sources, const Target& target, Moment now);

// What a request for batches waits for before it is answered: nullopt if for nothing.
struct BatchWait {
    storage::PartitionId partition;
    storage::Offset from;
    std::chrono::milliseconds wait_max{};
};

[[nodiscard]] std::optional<BatchWait> wait_of(const Sources& sources, const Target& target);
[[nodiscard]] bool is_over(const Sources& sources, const BatchWait& wait);

[[nodiscard]] Response error_response(unsigned status, std::string_view what);

}  // namespace milepost::admin
