#include "gateway/tool/commands.hpp"
#include "gateway/tool/failure.hpp"

#include <cerrno>
#include <cstdlib>
#include <system_error>

#include <unistd.h>

namespace milepost::tool {

std::unique_ptr<LogSource> open_source(const SourceOptions& options) {
    return options.data_dir.empty() ? open_gateway(options.url) : open_folder(options.data_dir);
}

void print_out(std::string_view text) {
    while (!text.empty()) {
        const auto written = ::write(STDOUT_FILENO, text.data(), text.size());
        if (written > 0) {
            text.remove_prefix(static_cast<std::size_t>(written));
        } else if (errno == EPIPE) {
            std::exit(exit_good);
        } else if (errno != EINTR) {
            throw Failure{exit_disk, "stdout: " + std::generic_category().message(errno)};
        }
    }
}

}  // namespace milepost::tool
