#pragma once

#include "storage/base/result.hpp"
#include "storage/journal/errc.hpp"

namespace milepost::test {

inline storage::JournalErrc what(const ErrorCode& error) {
    return static_cast<storage::JournalErrc>(error.value());
}

}  // namespace milepost::test
