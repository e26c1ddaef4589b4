#include "gateway/tool/commands.hpp"
#include "gateway/tool/failure.hpp"
#include "gateway/tool/status_print.hpp"

namespace milepost::tool {

int run(const StatusOptions& options) {
    const auto status = open_source(options.source)->status();
    if (options.account) {
        const auto account = account_of(status);
        print_out(options.json ? account_json(account) : account_text(account));
    } else {
        print_out(options.json ? status_json(status) : status_text(status));
    }
    return exit_good;
}

}  // namespace milepost::tool
