#include "gateway/tool/commands.hpp"
#include "gateway/tool/failure.hpp"

#include <csignal>
#include <cstdio>
#include <exception>

int main(int argc, char** argv) {
    using namespace milepost::tool;
    std::signal(SIGPIPE, SIG_IGN);
    const auto parsed = parse_flags(argc, argv);
    if (const int* code = std::get_if<int>(&parsed)) return *code;
    try {
        return std::visit(
            [](const auto& options) { return run(options); },
            std::get<Command>(parsed)
        );
    } catch (const Failure& failure) {
        std::fprintf(stderr, "milepost: %s\n", failure.what());
        return failure.code();
    } catch (const std::exception& unexpected) {
        std::fprintf(stderr, "milepost: %s\n", unexpected.what());
        return exit_run_time;
    }
}
