#include "firmware-sim/direct_link.hpp"
#include "firmware-sim/flags.hpp"
#include "firmware-sim/fleet.hpp"
#include "firmware-sim/inbox.hpp"
#include "firmware-sim/ledger.hpp"
#include "firmware-sim/link_process.hpp"
#include "firmware-sim/network.hpp"
#include "firmware-sim/progress.hpp"
#include "firmware-sim/tally.hpp"

#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace {

using namespace milepost;
using namespace milepost::fleet;

int run(const Options& options) {
    Inbox inbox{block_stop_signals()};  // the links' processes inherit the mask
    Ledger ledger;
    if (!options.ledger_path.empty()) {
        auto opened = Ledger::open(options.ledger_path);
        if (!opened) {
            std::fprintf(
                stderr,
                "milepost-fleet: ledger %s: %s\n",
                options.ledger_path.c_str(),
                opened.error().message().c_str()
            );
            return 1;
        }
        ledger = std::move(*opened);
    }
    std::optional<Network> network;  // outlives the fleet, whose links use it
    if (options.link_kind == LinkKind::direct) {
        if (!allow_sockets(options.fleet.vehicles)) {
            std::fprintf(
                stderr,
                "milepost-fleet: %u vehicles need as many open files: raise ulimit -n\n",
                options.fleet.vehicles
            );
            return 1;
        }
        network.emplace(inbox, options.link.host, options.link.port);
    }
    Fleet fleet{
        options.fleet,
        std::move(ledger),
        inbox,
        [&](std::uint32_t vehicle, const LinkIdentity& identity) -> std::unique_ptr<Link> {
            if (network) {
                return std::make_unique<DirectLink>(
                    *network,
                    options.link,
                    vehicle,
                    identity,
                    options.tls.get()
                );
            }
            return std::make_unique<LinkProcess>(options.link, vehicle, identity, inbox);
        }};
    const auto tally = fleet.run(Progress::for_stderr(options.is_quiet));
    if (!tally) {
        std::fprintf(stderr, "milepost-fleet: ledger: %s\n", tally.error().message().c_str());
        return 1;
    }
    const std::string summary = options.is_json ? to_json(*tally) + '\n' : to_text(*tally);
    if (options.is_json || !options.is_quiet) std::fputs(summary.c_str(), stdout);
    if (!fleet.refusal().empty()) {
        std::fprintf(stderr, "milepost-fleet: %s\n", fleet.refusal().c_str());
        return 1;
    }
    return tally->is_settled() ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
    try {
        const auto parsed = parse_flags(count, arguments);
        if (const auto* const exit = std::get_if<Exit>(&parsed)) return exit->status;
        return run(std::get<Options>(parsed));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "milepost-fleet: %s\n", error.what());
        return 1;
    }
}
