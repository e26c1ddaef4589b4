#pragma once

#include "storage/base/result.hpp"

namespace milepost::storage {

// What can be wrong with a journal. Numbers are never changed.
enum class JournalErrc {
    poisoned = 1,         // a write or sync of this ring failed before: it is never trusted again
    newer_version = 2,    // written by a newer Milepost
    header_damaged = 3,   // both copies of the ring's header are unreadable
    torn = 4,             // a frame or slot that is not whole
    malformed = 5,        // whole, but its fields contradict each other: a bug wrote it
    unknown_section = 6,  // a section type that this version does not know
    slot_too_large = 7,   // more partitions than a checkpoint slot holds
    bad_size = 8,         // a ring or frame size outside the limits
};

ErrorCode make_error_code(JournalErrc error);

}  // namespace milepost::storage

template <>
struct boost::system::is_error_code_enum<milepost::storage::JournalErrc> : std::true_type {};
