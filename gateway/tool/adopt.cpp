#include "storage/log/adopt.hpp"

#include "gateway/json_writer.hpp"
#include "gateway/listener/session_state.hpp"
#include "gateway/machine_id.hpp"
#include "gateway/tool/commands.hpp"
#include "gateway/tool/failure.hpp"
#include "gateway/tool/owner.hpp"
#include "storage/fs/posix_file_system.hpp"
#include "storage/log/errc.hpp"
#include "storage/meta/carry_over.hpp"
#include "storage/meta/meta_keeper.hpp"
#include "storage/meta/schema.hpp"

#include <fmt/core.h>

#include <filesystem>
#include <string>
#include <utility>

namespace milepost::tool {

namespace {

[[noreturn]] void fail(const AdoptOptions& options, const ErrorCode& error) {
    const bool is_code_2 = error == storage::LogErrc::folder_in_use ||
                           error == storage::LogErrc::not_a_log;
    throw Failure{
        is_code_2 ? exit_nothing_there : exit_run_time,
        fmt::format("{}: {}; nothing was changed", options.data_dir, error.message())};
}

}  // namespace

int run(const AdoptOptions& options) {
    std::error_code ignored;
    if (!std::filesystem::exists(std::filesystem::path{options.data_dir} / "journal", ignored)) {
        fail(options, make_error_code(storage::LogErrc::not_a_log));
    }
    work_as_owner(options.data_dir);
    storage::PosixFileSystem files;
    auto meta = storage::open_meta(options.data_dir);
    if (!meta) fail(options, meta.error());
    auto carrier = storage::open_meta(options.data_dir);
    if (!carrier) fail(options, carrier.error());
    storage::MetaKeeper keeper{std::move(*meta), listener::merge_session_states};
    storage::AdoptOptions how{.machine_id_hash = machine_id_hash()};
    how.before = [&](std::string_view old_id, std::string_view new_id) {
        return storage::carry_over(*carrier, old_id, new_id, !options.from_start);
    };
    const auto done = storage::adopt_log(files, options.data_dir, keeper, how);
    if (!done) fail(options, done.error());
    if (options.json) {
        JsonWriter json;
        json.begin_object().key("old_log_id").text(done->old_log_id);
        json.key("new_log_id").text(done->new_log_id);
        json.key("was_from_elsewhere").boolean(done->was_from_elsewhere).end_object();
        print_out(json.str() + "\n");
        return exit_good;
    }
    print_out(fmt::format(
        "adopted: log {} is now log {}; forwarding {}\n",
        done->old_log_id,
        done->new_log_id,
        options.from_start ? "begins at start" : "goes on where it was"
    ));
    return exit_good;
}

}  // namespace milepost::tool
