#pragma once

#include "storage/base/result.hpp"
#include "storage/fs/file_system.hpp"
#include "storage/journal/ring_header.hpp"
#include "storage/log/keeper.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace milepost::storage {

// 16 hex digits.
[[nodiscard]] std::string log_id_text(std::uint64_t log_id);

// Of the newest ring in a data folder; empty where none has a header that can be read. Takes no
// lock and writes nothing.
[[nodiscard]] std::string find_log_id(FileSystem& files, const std::filesystem::path& data_dir);

// Whether the folder belongs to another machine. Where either has no id nothing is said.
[[nodiscard]] inline bool is_from_elsewhere(const RingHeader& header, std::uint64_t machine) {
    return header.machine_id_hash != 0 && machine != 0 && header.machine_id_hash != machine;
}

// Rings of other generations beside `newest` are left from a crash: of the same log, or of the one
// that it was before it was adopted, with nothing in them that is still needed. Any other one was
// put there by somebody: LogErrc::foreign_ring, and `ids` says which ("ring-00000001 is of log …").
Result<void> check_rings(
    FileSystem& files,
    const std::filesystem::path& journal_folder,
    const RingHeader& newest,
    std::string& ids
);

struct Adoption {
    std::string old_log_id;
    std::string new_log_id;
    bool was_from_elsewhere = false;
};

struct AdoptOptions {
    std::uint64_t machine_id_hash = 0;  // of this machine
    // Called with both ids when everything is in segments and before the new id is the folder's:
    // to carry gap ledger and positions over. An error ends the adoption with nothing changed.
    std::function<Result<void>(std::string_view old_id, std::string_view new_id)> before{};
};

// Gives a stopped gateway's folder a new log id and this machine's mark; all readings stay, with
// their offsets. The log is opened and closed, so that the segments hold everything, then a ring of
// the next generation is made, which goes on with the same checkpoint and sequence: a crash leaves
// the one or the other. Errors: LogErrc::folder_in_use, not_a_log, and what the disk says.
Result<Adoption> adopt_log(
    FileSystem& files,
    const std::filesystem::path& data_dir,
    Keeper& keeper,
    const AdoptOptions& options
);

}  // namespace milepost::storage
