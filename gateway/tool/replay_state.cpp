#include "gateway/tool/replay_state.hpp"

#include "gateway/tool/append_file.hpp"
#include "gateway/tool/failure.hpp"
#include "storage/base/units.hpp"
#include "storage/fs/posix_file_system.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <iterator>
#include <random>

namespace milepost::tool {

namespace {

using nlohmann::json;

constexpr int state_version = 1;
constexpr std::size_t state_bytes_max = 4 * mib;

ReplayState state_of(const json& page) {
    if (page.at("milepost_replay").get<int>() != state_version) {
        throw std::runtime_error{"it is of another version"};
    }
    ReplayState state;
    state.job = page.at("job").get<std::string>();
    state.plan = page.at("plan").get<std::string>();
    state.count = page.at("count").get<std::uint64_t>();
    state.shift_ms = page.at("shift_ms").get<std::int64_t>();
    state.first_topic = page.at("first_topic").get<std::string>();
    state.sink_bytes = page.at("sink_bytes").get<std::uint64_t>();
    state.is_done = page.at("done").get<bool>();
    const auto time_of = [&page](const char* name) -> std::optional<std::int64_t> {
        const auto found = page.find(name);
        if (found == page.end() || found->is_null()) return std::nullopt;
        return found->get<std::int64_t>();
    };
    state.since_ms = time_of("since_ms");
    state.until_ms = time_of("until_ms");
    for (const auto& entry : page.at("positions")) {
        state.positions.push_back(
            {.name = {entry.at("topic").get<std::string>(), entry.at("partition").get<int>()},
             .next = storage::Offset{entry.at("next").get<std::int64_t>()},
             .end = storage::Offset{entry.at("end").get<std::int64_t>()}}
        );
    }
    return state;
}

json json_of(const ReplayState& state) {
    json positions = json::array();
    for (const auto& position : state.positions) {
        positions.push_back(
            {{"topic", position.name.topic},
             {"partition", position.name.partition},
             {"next", position.next.value()},
             {"end", position.end.value()}}
        );
    }
    const auto time_of = [](std::optional<std::int64_t> time) {
        return time ? json(*time) : json();
    };
    return {
        {"milepost_replay", state_version},
        {"job", state.job},
        {"plan", state.plan},
        {"count", state.count},
        {"shift_ms", state.shift_ms},
        {"first_topic", state.first_topic},
        {"sink_bytes", state.sink_bytes},
        {"done", state.is_done},
        {"since_ms", time_of(state.since_ms)},
        {"until_ms", time_of(state.until_ms)},
        {"positions", std::move(positions)}};
}

}  // namespace

std::string new_job_id() {
    std::random_device random;
    return fmt::format("{:08x}{:08x}", random(), random());
}

std::optional<ReplayState> load_state(const std::filesystem::path& file) {
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored)) return std::nullopt;
    std::ifstream in{file, std::ios::binary};
    std::string text(state_bytes_max, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(std::max<std::streamsize>(0, in.gcount())));
    try {
        return state_of(json::parse(text));
    } catch (const std::exception& wrong) {
        const std::string_view what = wrong.what();
        throw Failure{
            exit_run_time,
            fmt::format("{} is no state of a replay: {}", file.string(), what.substr(0, 200))};
    }
}

bool take_up_state(const std::filesystem::path& file, Selection& selection, ReplayState& state) {
    if (auto loaded = load_state(file)) {
        state = std::move(*loaded);
        if (state.since_ms) selection.since = Timestamp{*state.since_ms};
        if (state.until_ms) selection.until = Timestamp{*state.until_ms};
        return true;
    }
    if (selection.since) state.since_ms = selection.since->value();
    if (selection.until) state.until_ms = selection.until->value();
    return false;
}

void check_plan(
    ReplayState& state,
    const std::string& plan,
    const std::filesystem::path& file,
    bool is_resumed
) {
    if (is_resumed && state.plan != plan) {
        throw Failure{
            exit_run_time,
            fmt::format("{} is of another replay: {}", file.string(), state.plan)};
    }
    state.plan = plan;
}

void save_state(const std::filesystem::path& file, const ReplayState& state) {
    storage::PosixFileSystem files;
    const auto text = json_of(state).dump(1, ' ', false, json::error_handler_t::replace) + '\n';
    auto beside = file;
    beside += ".new";
    auto opened = files.open(beside, storage::OpenMode::create);
    if (!opened) must(opened.error(), beside);
    must((*opened)->truncate(0), beside);
    must((*opened)->write_at(storage::FilePosition{0}, as_bytes(text)), beside);
    must((*opened)->sync(), beside);
    must(files.rename(beside, file), file);
    const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path{"."};
    must(files.sync_directory(folder), folder);
}

}  // namespace milepost::tool
