#pragma once

#include <boost/system/error_code.hpp>

#include <type_traits>

namespace milepost::storage {

// What can be wrong with meta.db.
enum class MetaErrc {
    busy = 1,      // another process holds it for longer than the busy time-out
    corrupt,       // it is damaged; what it held cannot be trusted
    not_ours,      // no SQLite file, or one that something else made
    newer_format,  // made by a newer milepost
    disk_full,
    read_only,    // the file, its folder or its file system cannot be written
    cannot_open,  // no such file, or no permission
    io_error,
    no_memory,
    unexpected,  // a bug of ours: a statement that SQLite does not take
};

[[nodiscard]] const boost::system::error_category& meta_category();

[[nodiscard]] inline boost::system::error_code make_error_code(MetaErrc code) {
    return {static_cast<int>(code), meta_category()};
}

}  // namespace milepost::storage

template <>
struct boost::system::is_error_code_enum<milepost::storage::MetaErrc> : std::true_type {};
