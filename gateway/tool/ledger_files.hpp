#pragma once

#include "sensors/ledger_entry.hpp"

#include <string>

namespace milepost::tool {

// Reads a whole ledger piece by piece. A file that cannot be read, or is no ledger, is a Failure
// (exit_cannot_tell).
void read_ledger(const std::string& file, const sensors::LedgerReader::OnEntry& on_entry);

}  // namespace milepost::tool
