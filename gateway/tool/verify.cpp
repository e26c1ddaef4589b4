#include "storage/log/verify.hpp"

#include "gateway/json_writer.hpp"
#include "gateway/tool/commands.hpp"
#include "gateway/tool/failure.hpp"
#include "storage/fs/posix_file_system.hpp"

#include <fmt/core.h>

#include <cstdlib>
#include <string>

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
    const auto report =
        storage::verify_folder(files, options.data_dir, {.deep = options.deep}, on_file);
    if (!report) {
        const bool is_locked = report.error() == boost::system::errc::operation_would_block ||
                               report.error() ==
                                   boost::system::errc::resource_unavailable_try_again;
        throw Failure{
            exit_nothing_there,
            fmt::format(
                "{}: {}",
                options.data_dir,
                is_locked ? "a running gateway has it locked" : report.error().message()
            )};
    }
    if (options.json) {
        json.end_array();
        json.key("records").integer(report->records);
        json.key("damaged").integer(report->damaged);
        json.key("holes").integer(report->holes).end_object();
        print_out(json.str() + "\n");
    } else {
        lines += fmt::format(
            "verify: {} records, {} damaged, {} holes\n",
            report->records,
            report->damaged,
            report->holes
        );
        print_out(lines);
    }
    return report->is_sound() ? exit_good : exit_run_time;
}

}  // namespace milepost::tool
