#pragma once

#include "gateway/admin/sources.hpp"
#include "gateway/bridge/bridge.hpp"
#include "gateway/config.hpp"
#include "storage/base/ack_token.hpp"
#include "storage/base/bytes.hpp"

#include <boost/asio/io_context.hpp>

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

    void start();
    void acked(std::span<const AckToken> tokens);
    // The log may have room again.
    void retry();

    // Runs `io` until each has closed its connection; those that do not are left where they stand.
    void stop(boost::asio::io_context& io);

    [[nodiscard]] std::vector<admin::BridgeStatus> status() const;

private:
    std::vector<std::unique_ptr<bridge::Bridge>> bridges_;
    bool was_started_ = false;
};

// What is wrong with the files that [[bridge]]s name; one line each.
[[nodiscard]] std::vector<std::string> check_bridge_files(const Config& config);

}  // namespace milepost
