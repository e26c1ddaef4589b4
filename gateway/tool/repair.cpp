#include "storage/log/repair.hpp"

#include "gateway/json_writer.hpp"
#include "gateway/machine_id.hpp"
#include "gateway/tool/commands.hpp"
#include "gateway/tool/failure.hpp"
#include "gateway/tool/meta_look.hpp"
#include "gateway/tool/owner.hpp"
#include "gateway/tool/progress.hpp"
#include "storage/fs/posix_file_system.hpp"
#include "storage/log/verify.hpp"
#include "storage/meta/meta_keeper.hpp"
#include "storage/meta/schema.hpp"

#include <fmt/core.h>

#include <string>
#include <utility>
#include <vector>

namespace milepost::tool {

namespace {

bool is_locked(const ErrorCode& error) {
    return error == boost::system::errc::operation_would_block ||
           error == boost::system::errc::resource_unavailable_try_again;
}

class Repair {
public:
    explicit Repair(const RepairOptions& options)
        : options_(options) {}

    int run() {
        if (options_.yes) work_as_owner(options_.data_dir);
        auto meta = look_at_meta(options_.data_dir);
        storage::RepairOptions wanted{
            .known_gaps = meta.gaps,
            .machine_id_hash = machine_id_hash(),
            .makes_lock = options_.yes};
        Progress progress{"repair"};
        wanted.on_progress = [&](auto done, auto all) {
            progress.show(done, all);
        };
        auto plan = storage::plan_repair(files_, options_.data_dir, wanted);
        progress.clear();
        if (!plan) fail(plan.error());
        std::vector<std::string> actions = plan->actions;
        if (meta.is_damaged) {
            actions.insert(
                actions.begin(),
                std::string{storage::meta_file_name} + ": " + meta.note +
                    "; kept beside, and made anew: forwarding begins at start (in at_least_once "
                    "everything is sent upstream again), MQTT sessions and the gap ledger are lost"
            );
        }
        const auto notes = plan->notes;
        if (!options_.yes || actions.empty()) {
            print(actions, notes, false);
            return exit_good;
        }
        check_space(*plan);
        if (meta.is_damaged) set_meta_aside();
        do_it(std::move(*plan), meta.log_id);
        print(actions, notes, true);
        return check();
    }

private:
    void set_meta_aside() {
        const auto aside = storage::set_meta_aside(options_.data_dir);
        if (!aside) fail(aside.error());
    }

    // Before anything is changed.
    void check_space(const storage::RepairPlan& plan) const {
        if (plan.bytes_needed <= plan.bytes_available) return;
        throw Failure{
            exit_run_time,
            fmt::format(
                "{}: the originals are kept, so {} bytes must be free, and {} are; nothing was "
                "changed",
                options_.data_dir,
                plan.bytes_needed,
                plan.bytes_available
            )};
    }

    void do_it(storage::RepairPlan plan, const std::string& log_id) {
        auto connection = storage::open_meta(options_.data_dir);
        if (!connection) fail(connection.error());
        storage::MetaKeeper keeper{std::move(*connection)};
        keeper.keep_for(log_id);
        const auto done = storage::carry_out(files_, std::move(plan), keeper);
        if (done) return;
        if (is_locked(done.error())) fail(done.error());
        throw Failure{
            exit_run_time,
            fmt::format(
                "{}: {}; what was done is whole, run it again for the rest",
                options_.data_dir,
                done.error().message()
            )};
    }

    // Whether anything is left.
    int check() {
        auto meta = look_at_meta(options_.data_dir);
        Progress progress{"verify"};
        const auto report = storage::verify_folder(
            files_,
            options_.data_dir,
            {.known_gaps = std::move(meta.gaps),
             .on_progress =
                 [&](auto done, auto all) {
                     progress.show(done, all);
                 }},
            [](const storage::VerifiedFile&) {}
        );
        if (!report) fail(report.error());
        if (report->is_sound()) return exit_good;
        progress.clear();
        fmt::print(stderr, "milepost: something is left that could not be repaired: verify it\n");
        return exit_run_time;
    }

    void print(
        const std::vector<std::string>& actions,
        const std::vector<std::string>& notes,
        bool is_done
    ) const {
        if (options_.json) {
            JsonWriter json;
            json.begin_object().key("done").boolean(is_done);
            json.key("actions").begin_array();
            for (const auto& action : actions) {
                json.text(action);
            }
            json.end_array().key("notes").begin_array();
            for (const auto& note : notes) {
                json.text(note);
            }
            json.end_array().end_object();
            print_out(json.str() + "\n");
            return;
        }
        std::string text;
        for (const auto& action : actions) {
            text += (is_done ? "done     " : "would do ") + action + "\n";
        }
        for (const auto& note : notes) {
            text += "note     " + note + "\n";
        }
        if (actions.empty()) {
            text += "repair: nothing to do\n";
        } else if (is_done) {
            text += fmt::format("repair: {} done\n", actions.size());
        } else {
            text += fmt::format("repair: {} to do; --yes does it\n", actions.size());
        }
        print_out(text);
    }

    [[noreturn]] void fail(const ErrorCode& error) const {
        throw Failure{
            exit_nothing_there,
            fmt::format(
                "{}: {}",
                options_.data_dir,
                is_locked(error) ? "a running gateway has it locked" : error.message()
            )};
    }

    const RepairOptions& options_;
    storage::PosixFileSystem files_;
};

}  // namespace

int run(const RepairOptions& options) {
    return Repair{options}.run();
}

}  // namespace milepost::tool
