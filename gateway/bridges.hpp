#pragma once

#include "gateway/admin/sources.hpp"
#include "gateway/bridge/bridge.hpp"
#include "gateway/config.hpp"
#include "storage/base/ack_token.hpp"
#include "storage/base/bytes.hpp"
#include "storage/log/appender.hpp"

#include <boost/asio/io_context.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace milepost {

// All [[bridge]]s. Thread: the network's, but for status(): any.
class Bridges {
public:
    // `problems`: one line for each secret or certificate that cannot be read; then nothing is of
    // use. What `wiring` reaches outlives the bridges.
    Bridges(
        const Config& config,
        const bridge::LogSide::Wiring& wiring,
        std::vector<std::string>& problems
    );

    Bridges(const Bridges&) = delete;
    Bridges& operator=(const Bridges&) = delete;
    // A bridge that did not stop outlives it, until the process ends.
    ~Bridges();

    [[nodiscard]] bool empty() const { return bridges_.empty(); }

    // True: the row is a bridge's, also of one that is configured no more.
    bool restore(std::string_view key, Bytes state);

    // After the last restore(): what was counted into another log, that was here before this one,
    // is no record of this one, which has `records`. Becomes durable with the first group.
    void check_accepted(storage::Appender& log, bool log_is_new, std::uint64_t records);
    // Records in the log that came through a bridge, also one that is configured no more. Thread:
    // any, after check_accepted().
    [[nodiscard]] std::uint64_t accepted() const;

    void start();
    void acked(std::span<const AckToken> tokens);
    // The log may have room again.
    void retry();

    // Runs `io` until each has closed its connection; those that do not are left where they stand.
    void stop(boost::asio::io_context& io);

    [[nodiscard]] std::vector<admin::BridgeStatus> status() const;

private:
    std::vector<std::unique_ptr<bridge::Bridge>> bridges_;
    std::vector<std::string> kept_rows_;    // the keys that were restored
    std::uint64_t accepted_by_others_ = 0;  // those that are configured no more
    bool was_started_ = false;
};

// What is wrong with the files that [[bridge]]s name; one line each.
[[nodiscard]] std::vector<std::string> check_bridge_files(const Config& config);

}  // namespace milepost
