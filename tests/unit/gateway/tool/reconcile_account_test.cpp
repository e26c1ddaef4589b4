#include "gateway/tool/reconcile_account.hpp"

#include "gateway/tool/figures_print.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace milepost;
using namespace milepost::tool;
using sensors::LedgerState;

namespace {

struct Record {
    std::string vehicle;
    std::uint64_t seq;
    std::string payload;
    std::int64_t received = 0;
};

constexpr std::uint64_t readings = 20;

std::string payload_of(const std::string& vehicle, std::uint64_t seq) {
    return "reading " + std::to_string(seq) + " of " + vehicle;
}

// Two vehicles, all of whose readings are acknowledged, in order, in the log and upstream.
struct World {
    bool has_upstream = true;
    std::vector<Record> log;
    std::vector<Record> upstream;
    std::vector<std::pair<std::string, std::uint64_t>> sampled_only;

    World() {
        for (std::uint64_t seq = 1; seq <= readings; ++seq) {
            for (const auto* vehicle : {"V1", "V2"}) {
                log.push_back(
                    {vehicle, seq, payload_of(vehicle, seq), 1000 + static_cast<std::int64_t>(seq)}
                );
            }
        }
        upstream = log;
    }

    [[nodiscard]] Figures figures(bool waits = false) const {
        Account account{has_upstream};
        for (std::uint64_t seq = 1; seq <= readings; ++seq) {
            for (const auto* vehicle : {"V1", "V2"}) {
                for (const auto state :
                     {LedgerState::sampled, LedgerState::published, LedgerState::acknowledged}) {
                    account.add({Timestamp{1}, vehicle, seq, state, ""});
                }
            }
        }
        for (const auto& [vehicle, seq] : sampled_only) {
            account.add({Timestamp{1}, vehicle, seq, LedgerState::sampled, ""});
        }
        add(account, Place::log, log);
        if (has_upstream) add(account, Place::upstream, upstream);
        return account.figures(waits);
    }

private:
    static void add(Account& account, Place place, const std::vector<Record>& records) {
        for (const auto& record : records) {
            account.add(
                place,
                {"t", record.vehicle == "V1" ? 0 : 1},
                {.vehicle = record.vehicle,
                 .seq = record.seq,
                 .received = Timestamp{record.received},
                 .payload = as_bytes(record.payload)}
            );
        }
    }
};

}  // namespace

TEST_CASE("reconcile: a sound world adds up", "[reconcile]") {
    const auto figures = World{}.figures();
    CHECK(
        figures ==
        Figures{
            .sampled = 40,
            .published = 40,
            .acknowledged = 40,
            .logged = 40,
            .forwarded = 40,
            .lost = 0,
            .duplicated_by_vehicle = 0,
            .duplicated_in_log = 0,
            .duplicated_upstream = 0,
            .out_of_order = 0,
            .unexplained = 0}
    );
    CHECK_FALSE(is_broken(figures, true));
}

TEST_CASE("reconcile: a dropped record is lost", "[reconcile]") {
    World world;
    SECTION("upstream") {
        world.upstream.erase(world.upstream.begin() + 7);
        const auto figures = world.figures();
        CHECK(figures.lost == 1);
        CHECK(figures.forwarded == std::optional<std::uint64_t>{39});
        CHECK(is_broken(figures, false));
    }
    SECTION("in the log, without an upstream") {
        world.has_upstream = false;
        world.log.erase(world.log.begin() + 7);
        const auto figures = world.figures();
        CHECK(figures.lost == 1);
        CHECK(figures.logged == 39);
        CHECK(is_broken(figures, false));
    }
}

TEST_CASE("reconcile: a doubled record is a duplicate where it was doubled", "[reconcile]") {
    World world;
    SECTION("upstream: broken only in exactly_once") {
        world.upstream.insert(world.upstream.begin() + 8, world.upstream[6]);
        const auto figures = world.figures();
        CHECK(figures.duplicated_upstream == std::optional<std::uint64_t>{1});
        CHECK(figures.duplicated_in_log == 0);
        CHECK(figures.out_of_order == 0);
        CHECK_FALSE(is_broken(figures, false));
        CHECK(is_broken(figures, true));
    }
    SECTION("in the log, with the arrival's own time: it arrived once") {
        world.log.insert(world.log.begin() + 8, world.log[6]);
        world.upstream = world.log;
        const auto figures = world.figures();
        CHECK(figures.duplicated_in_log == 1);
        CHECK(figures.duplicated_by_vehicle == 0);
        CHECK(figures.duplicated_upstream == std::optional<std::uint64_t>{0});
    }
    SECTION("in the log, with another time: the vehicle sent it again") {
        auto again = world.log[6];
        again.received += 500;
        world.log.insert(world.log.begin() + 10, again);
        world.upstream = world.log;
        const auto figures = world.figures();
        CHECK(figures.duplicated_by_vehicle == 1);
        CHECK(figures.duplicated_in_log == 0);
        CHECK(figures.duplicated_upstream == std::optional<std::uint64_t>{0});
        CHECK_FALSE(is_broken(figures, true));
    }
}

TEST_CASE("reconcile: two that are swapped are out of order", "[reconcile]") {
    World world;
    std::swap(world.upstream[6], world.upstream[8]);  // both V1's
    const auto figures = world.figures();
    CHECK(figures.out_of_order == 1);
    CHECK(is_broken(figures, false));
}

TEST_CASE("reconcile: what is sent again in order is not out of order", "[reconcile]") {
    World world;
    const std::vector<Record> again{world.upstream.end() - 10, world.upstream.end()};
    world.upstream.insert(world.upstream.end(), again.begin(), again.end());
    const auto figures = world.figures();
    CHECK(figures.duplicated_upstream == std::optional<std::uint64_t>{10});
    CHECK(figures.out_of_order == 0);
}

TEST_CASE("reconcile: a flipped byte upstream is unexplained", "[reconcile]") {
    World world;
    world.upstream[5].payload[3] ^= 1;
    CHECK(world.figures().unexplained == 1);
}

TEST_CASE("reconcile: a flipped sequence number is lost and unexplained", "[reconcile]") {
    World world;
    world.upstream[5].seq = 1'000'000'000'000;
    const auto figures = world.figures();
    CHECK(figures.unexplained == 1);
    CHECK(figures.lost == 1);
}

TEST_CASE("reconcile: while something waits only what neither has is lost", "[reconcile]") {
    World world;
    world.upstream.resize(30);
    CHECK(world.figures(true).lost == 0);
    CHECK(world.figures(false).lost == 10);
    world.log.erase(world.log.begin() + 35);
    CHECK(world.figures(true).lost == 1);
}

TEST_CASE("reconcile: a reading that is only sampled is not lost", "[reconcile]") {
    World world;
    world.sampled_only = {{"V1", 21}, {"V3", 1}};
    const auto figures = world.figures();
    CHECK(figures.sampled == 42);
    CHECK(figures.lost == 0);
}

TEST_CASE(
    "reconcile: far-off sequence numbers are kept apart until the others catch up",
    "[reconcile]"
) {
    Account account{false};
    const auto sampled = [&](std::uint64_t seq) {
        account.add({Timestamp{1}, "V1", seq, LedgerState::sampled, ""});
    };
    sampled(100'000);
    sampled(1'000'000'000'000);
    for (std::uint64_t seq = 50'000; seq <= 110'000; seq += 10'000)
        sampled(seq);
    CHECK(account.figures(false).sampled == 8);
}

TEST_CASE("reconcile: foreign records are unexplained once", "[reconcile]") {
    Account account{true};
    account.add_foreign(Place::log);
    account.add_foreign(Place::log);
    account.add_foreign(Place::upstream);
    CHECK(account.figures(false).unexplained == 2);
}

TEST_CASE("reconcile: one line a figure, and - without an upstream", "[reconcile]") {
    World world;
    world.has_upstream = false;
    CHECK(
        figures_text(world.figures()) ==
        "sampled 40\npublished 40\nacknowledged 40\nlogged 40\nforwarded -\nlost 0\n"
        "duplicated_by_vehicle 0\nduplicated_in_log 0\nduplicated_upstream -\nout_of_order 0\n"
        "unexplained 0\n"
    );
    CHECK(
        figures_json(world.figures()) ==
        "{\"sampled\":40,\"published\":40,\"acknowledged\":40,\"logged\":40,\"forwarded\":null,"
        "\"lost\":0,\"duplicated_by_vehicle\":0,\"duplicated_in_log\":0,"
        "\"duplicated_upstream\":null,\"out_of_order\":0,\"unexplained\":0}\n"
    );
}
