#pragma once

#include "gateway/tool/flags.hpp"
#include "gateway/tool/log_source.hpp"

#include <memory>
#include <string_view>

// One function per command; each prints its data on stdout and returns the exit code, or throws a
// Failure.
namespace milepost::tool {

int run(const StatusOptions& options);
int run(const TopicsOptions& options);
int run(const ConsumeOptions& options);
int run(const VerifyOptions& options);
int run(const RepairOptions& options);
int run(const AdoptOptions& options);
int run(const PasswdOptions& options);
int run(const ReconcileOptions& options);
int run(const ReplayOptions& options);  // export, too
int export_archive(const ReplayOptions& options);

[[nodiscard]] std::unique_ptr<LogSource> open_source(const SourceOptions& options);

// Writes to stdout; a reader that is gone (EPIPE) ends the program quietly, anything else is a
// Failure.
void print_out(std::string_view text);

}  // namespace milepost::tool
