#include "gateway/tool/owner.hpp"

#include "gateway/tool/failure.hpp"

#include <grp.h>

#include <string>

#include <sys/stat.h>
#include <unistd.h>

namespace milepost::tool {

void work_as_owner(const std::filesystem::path& data_dir) {
    struct ::stat facts {};

    if (::geteuid() != 0 || ::stat(data_dir.c_str(), &facts) != 0 || facts.st_uid == 0) return;
    const bool is_owner = ::setgroups(0, nullptr) == 0 && ::setgid(facts.st_gid) == 0 &&
                          ::setuid(facts.st_uid) == 0;
    if (!is_owner) {
        throw Failure{
            exit_run_time,
            data_dir.string() + ": cannot work as its owner, user " + std::to_string(facts.st_uid)};
    }
}

}  // namespace milepost::tool
