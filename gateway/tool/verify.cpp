#include "storage/log/verify.hpp"

#include "gateway/json_writer.hpp"
#include "gateway/tool/commands.hpp"
#include "gateway/tool/failure.hpp"
#include "gateway/tool/meta_look.hpp"
#include "gateway/tool/progress.hpp"
#include "storage/fs/posix_file_system.hpp"
#include "storage/meta/schema.hpp"

#include <fmt/core.h>

#include <cstdlib>
#include <string>
#include <utility>

#include <unistd.h>

namespace milepost::tool {

namespace {

// https://no-color.org: a value that is not empty turns colours off.
bool wants_colour() {
    const char* no_color = std::getenv("NO_COLOR");
    return (no_color == nullptr || *no_color == '\0') && ::isatty(STDOUT_FILENO) != 0;
}

std::string line_of(const storage::VerifiedFile& file, bool colour) {
    std::string line = file.is_sound ? "sound    " : "DAMAGED  ";
    if (colour && !file.is_sound) line = "\x1b[31m" + line + "\x1b[0m";
    line += file.path.string();
    if (!file.note.empty()) line += ": " + file.note;
    return line + "\n";
}

// What the gap ledger says of the holes.
std::string known_of(const storage::VerifyReport& report) {
    if (report.known_holes == 0) return {};
    if (report.known_holes == report.holes) return " (all known)";
    return fmt::format(" ({} known)", report.known_holes);
}

}  // namespace

int run(const VerifyOptions& options) {
    storage::PosixFileSystem files;
    const bool colour = wants_colour();
    // Printed at the end: what is no data folder is known only then.
    std::string lines;
    JsonWriter json;
    json.begin_object().key("files").begin_array();
    const auto on_file = [&](const storage::VerifiedFile& file) {
        if (!options.json) {
            lines += line_of(file, colour);
            return;
        }
        json.begin_object().key("path").text(file.path.string());
        json.key("sound").boolean(file.is_sound);
        json.key("note").text(file.note).end_object();
    };
    auto meta = look_at_meta(options.data_dir);
    Progress progress{"verify"};
    auto report = storage::verify_folder(
        files,
        options.data_dir,
        {.deep = options.deep,
         .known_gaps = std::move(meta.gaps),
         .on_progress =
             [&](auto done, auto all) {
                 progress.show(done, all);
             }},
        on_file
    );
    progress.clear();
    if (!report) {
        const bool is_locked = report.error() == boost::system::errc::operation_would_block ||
                               report.error() ==
                                   boost::system::errc::resource_unavailable_try_again;
        const bool is_missing = report.error() == boost::system::errc::no_such_file_or_directory;
        throw Failure{
            exit_nothing_there,
            fmt::format(
                "{}: {}",
                options.data_dir,
                is_locked    ? "a running gateway has it locked"
                : is_missing ? "there is no log of Milepost here"
                             : report.error().message()
            )};
    }
    if (meta.is_damaged) ++report->damaged;
    if (!meta.note.empty()) {
        on_file({.path = storage::meta_file_name, .is_sound = !meta.is_damaged, .note = meta.note});
    }
    if (options.json) {
        json.end_array();
        json.key("records").integer(report->records);
        json.key("damaged").integer(report->damaged);
        json.key("holes").integer(report->holes);
        json.key("known_holes").integer(report->known_holes).end_object();
        print_out(json.str() + "\n");
    } else {
        lines += fmt::format(
            "verify: {} records, {} damaged, {} holes{}\n",
            report->records,
            report->damaged,
            report->holes,
            known_of(*report)
        );
        print_out(lines);
    }
    return report->is_sound() ? exit_good : exit_run_time;
}

}  // namespace milepost::tool
