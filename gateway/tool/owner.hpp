#pragma once

#include <filesystem>

namespace milepost::tool {

// For commands that write into a data folder: run by root, they go on as the folder's owner, for
// good, so that the gateway can open what they make. Throws a Failure if that does not work.
void work_as_owner(const std::filesystem::path& data_dir);

}  // namespace milepost::tool
