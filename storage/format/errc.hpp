#pragma once

#include <boost/system/error_code.hpp>

#include <type_traits>

namespace milepost::storage {

// What can be wrong with bytes that claim to be a batch, a record or an index entry. Documented,
// numbered, never renamed.
enum class FormatErrc {
    short_read = 1,      // the bytes end before the thing does: a torn tail, if nothing follows
    malformed_batch,     // header fields that contradict each other or are over a limit
    malformed_record,    // bytes inside a batch that are no record
    checksum_mismatch,   // the CRC says that the bytes are not those that were written
    unsupported_magic,   // not record batch v2
    unsupported_codec,   // a codec that is not known here, or not written here
    too_large,           // more than the caller's limit
    compression_failed,  // the library refused, or the compressed bytes are not valid
};

[[nodiscard]] const boost::system::error_category& format_category();

[[nodiscard]] inline boost::system::error_code make_error_code(FormatErrc code) {
    return {static_cast<int>(code), format_category()};
}

// Whether a decoder refused what was read, rather than the disk to read it.
[[nodiscard]] inline bool is_format_error(const boost::system::error_code& error) {
    return error.category() == format_category();
}

}  // namespace milepost::storage

template <>
struct boost::system::is_error_code_enum<milepost::storage::FormatErrc> : std::true_type {};
