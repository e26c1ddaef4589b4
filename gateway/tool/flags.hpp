#pragma once

#include "gateway/tool/record_format.hpp"
#include "gateway/tool/replay_options.hpp"
#include "gateway/tool/start_offset.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace milepost::tool {

struct StatusOptions {
    SourceOptions source;
    bool account = false;
    bool json = false;
};

struct TopicsOptions {
    SourceOptions source;
    bool json = false;
};

struct ConsumeOptions {
    SourceOptions source;
    std::vector<std::string> topics;  // none: all
    std::optional<std::int32_t> partition;
    OffsetChoice from = End{};
    std::optional<Timestamp> until;
    std::optional<std::uint64_t> messages_max;
    bool exits_at_end = false;
    bool json = false;
    RecordFormat format;
};

struct VerifyOptions {
    std::string data_dir;
    bool deep = false;
    bool json = false;
};

struct RepairOptions {
    std::string data_dir;
    bool yes = false;
    bool json = false;
};

struct AdoptOptions {
    std::string data_dir;
    bool from_start = false;
    bool json = false;
};

struct PasswdOptions {
    std::string file;
    std::string user;
    bool removes = false;
    bool disables = false;
    unsigned log2_n = 14;  // scrypt's cost
};

struct ReconcileOptions {
    SourceOptions source;
    std::vector<std::string> ledgers;
    std::string brokers;                                          // none: the gateway's
    std::vector<std::pair<std::string, std::string>> properties;  // of librdkafka
    std::chrono::milliseconds wait{60'000};
    bool json = false;
};

using Command = std::variant<
    StatusOptions,
    TopicsOptions,
    ConsumeOptions,
    VerifyOptions,
    RepairOptions,
    AdoptOptions,
    PasswdOptions,
    ReconcileOptions,
    ReplayOptions>;

// The command line, or the exit code when it is done already (--help, --version) or wrong.
[[nodiscard]] std::variant<Command, int> parse_flags(int argc, const char* const* argv);

}  // namespace milepost::tool
