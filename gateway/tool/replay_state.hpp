#pragma once

#include "gateway/tool/record_stream.hpp"
#include "gateway/tool/selection.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

// How far a replay is, in a small file that is replaced as a whole, so that it goes on after a
// kill.
namespace milepost::tool {

struct ReplayState {
    std::string job;          // random: also the sink's name for this replay
    std::string plan;         // source, selection and sink; a state of another plan is refused
    std::uint64_t count = 0;  // records that the sink has for good, at least
    std::vector<StreamPosition> positions;  // behind the last of them
    std::int64_t shift_ms = 0;              // is added to every timestamp
    std::uint64_t sink_bytes = 0;           // of a file
    std::string first_topic;                // of the first record; empty: none was sent yet
    bool is_done = false;
    std::optional<std::int64_t> since_ms;  // what the selection's times meant at its beginning
    std::optional<std::int64_t> until_ms;
};

[[nodiscard]] std::string new_job_id();

// nullopt: there is no such file. A Failure if it is none of ours, or damaged.
[[nodiscard]] std::optional<ReplayState> load_state(const std::filesystem::path& file);
// What an earlier run left in `file`, if any; also what its selection's times meant, for `-2h` is
// still what it was. False: there is none, and this one begins.
[[nodiscard]] bool take_up_state(
    const std::filesystem::path& file,
    Selection& selection,
    ReplayState& state
);
// Of this run; a Failure if the state that goes on is of another one.
void check_plan(
    ReplayState& state,
    const std::string& plan,
    const std::filesystem::path& file,
    bool is_resumed
);
// Durable when it returns. A Failure if it cannot be written.
void save_state(const std::filesystem::path& file, const ReplayState& state);

}  // namespace milepost::tool
