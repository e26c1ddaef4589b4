#include "gateway/access/password_file.hpp"
#include "gateway/access/text_lines.hpp"
#include "gateway/tool/commands.hpp"
#include "gateway/tool/failure.hpp"

#include <fmt/core.h>
#include <termios.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace milepost::tool {

namespace {

[[noreturn]] void fail(const std::string& what, int error) {
    throw Failure{
        exit_run_time,
        fmt::format("{}: {}; nothing was changed", what, std::generic_category().message(error))};
}

// Does not show what is typed, for as long as it lives.
class NoEcho {
public:
    NoEcho() {
        if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
        termios quiet = before_;
        quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        is_set_ = ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) == 0;
    }

    ~NoEcho() {
        if (is_set_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
    }

    NoEcho(const NoEcho&) = delete;
    NoEcho& operator=(const NoEcho&) = delete;

private:
    termios before_{};
    bool is_set_ = false;
};

std::string ask(const char* question) {
    std::fputs(question, stderr);
    std::string line;
    std::getline(std::cin, line);
    if (::isatty(STDIN_FILENO) != 0) std::fputc('\n', stderr);
    return line;
}

std::string read_password() {
    std::string password;
    if (::isatty(STDIN_FILENO) != 0) {
        const NoEcho no_echo;
        password = ask("Password: ");
        if (ask("The same again: ") != password) {
            throw Failure{exit_run_time, "the two differ; nothing was changed"};
        }
    } else {
        std::getline(std::cin, password);
    }
    if (password.empty() || password.size() > access::password_bytes_max) {
        throw Failure{exit_run_time, "a password has 1 to 1024 bytes; nothing was changed"};
    }
    return password;
}

// The file, or nothing if it is not there. One that the gateway could not read is not touched.
std::string read_file(const std::string& path) {
    std::error_code error;
    if (!std::filesystem::exists(path, error)) return {};
    std::ifstream stream{path, std::ios::binary};
    if (!stream) fail(path, errno);
    std::string text(access::PasswordFile::file_bytes_max + 1, '\0');
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(stream.gcount()));
    const auto parsed = access::PasswordFile::parse(text);
    if (const auto* problems = std::get_if<std::vector<access::FileProblem>>(&parsed)) {
        const auto& [line, what] = problems->front();
        throw Failure{
            exit_run_time,
            fmt::format("{}:{}: {}; nothing was changed", path, line, what)};
    }
    return text;
}

// Everything but the user's line; comments stay.
std::string without(const std::string& text, std::string_view user, bool& was_there) {
    std::string kept;
    std::string_view rest = text;
    while (!rest.empty()) {
        const auto end = rest.find('\n');
        const auto line = rest.substr(0, end);
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
        const auto content = access::trimmed(line);
        if (!content.starts_with('#') && content.substr(0, content.find(':')) == user &&
            !content.empty()) {
            was_there = true;
            continue;
        }
        kept.append(line).append("\n");
    }
    return kept;
}

// The new file beside the old one, then in its place: a reader sees one or the other, and so does a
// power cut. Owner and mode stay; a new file is for its owner and group alone.
void replace(const std::string& path, std::string_view text) {
    constexpr mode_t new_file_mode = 0640;
    const std::string beside = path + ".new";

    struct stat before {};

    const bool exists = ::stat(path.c_str(), &before) == 0;
    ::unlink(beside.c_str());
    const int file = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) fail(beside, errno);
    bool is_done = exists ? ::fchown(file, before.st_uid, before.st_gid) == 0 : true;
    is_done = is_done && ::fchmod(file, exists ? before.st_mode & 07777U : new_file_mode) == 0;
    while (is_done && !text.empty()) {
        const ssize_t written = ::write(file, text.data(), text.size());
        is_done = written > 0;
        if (is_done) text.remove_prefix(static_cast<std::size_t>(written));
    }
    is_done = is_done && ::fsync(file) == 0;
    const int error = errno;
    ::close(file);
    if (!is_done || ::rename(beside.c_str(), path.c_str()) != 0) {
        const int why = is_done ? errno : error;
        ::unlink(beside.c_str());
        fail(path, why);
    }
}

}  // namespace

int run(const PasswdOptions& options) {
    if (const auto problem = access::user_problem(options.user); !problem.empty()) {
        throw Failure{exit_usage, std::string{problem}};
    }
    bool was_there = false;
    std::string text = without(read_file(options.file), options.user, was_there);
    if (options.removes) {
        if (!was_there) throw Failure{exit_run_time, options.user + ": no such user"};
    } else {
        access::PasswordEntry entry;
        entry.is_disabled = options.disables;
        if (!options.disables) {
            const access::ScryptCost cost{static_cast<std::uint8_t>(options.log2_n), 8, 1};
            const auto made = access::make_entry(as_bytes(read_password()), cost);
            if (!made) fail(options.file, ENOMEM);
            entry = *made;
        }
        text += access::entry_line(options.user, entry) + "\n";
    }
    replace(options.file, text);
    return exit_good;
}

}  // namespace milepost::tool
