#pragma once

#include "gateway/forward/exactly_once_engine.hpp"
#include "tests/support/memory_log.hpp"
#include "tests/unit/gateway/forward/scripted_transactions.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace milepost::test {

// An engine with a scripted Kafka and a log in memory, on a clock of its own.
struct ExactlyOnceBench {
    explicit ExactlyOnceBench(std::size_t lane_count = 1);

    void start();
    forward::Engine::Turn turn(Duration later = Duration::zero());
    // So many turns, the upstream confirming what it gets, each after the wait it asks for.
    void run(int turns = 60);
    void run_without_reports(int turns = 20);

    [[nodiscard]] storage::Offset forwarded(std::uint32_t id) const;
    [[nodiscard]] std::string degraded() const;
    [[nodiscard]] bool said(std::string_view part) const;

    void put(std::int32_t partition, std::int64_t offset, const std::string& metadata);
    void put_mark(std::int64_t offset, const std::string& log_id, const std::string& instance);

    forward::ForwardSettings settings{.gateway_id = "gw", .instance_id = "me"};
    std::size_t lanes;
    MemoryLog log;
    forward::ForwardStats stats;
    ScriptedKafka kafka;
    std::vector<storage::ForwardPosition> stored;
    std::vector<storage::Gap> poison;
    std::vector<std::string> lines;
    std::vector<storage::Gap> ledger;
    Instant now{std::chrono::seconds{1000}};
    std::unique_ptr<forward::ExactlyOnceEngine> engine;
};

// "v" and the offset, as MemoryLog::add() names them.
std::vector<std::string> values(int first, int end);

}  // namespace milepost::test
