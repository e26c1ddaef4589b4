#include "gateway/tool/ledger_files.hpp"

#include "gateway/tool/failure.hpp"
#include "storage/base/units.hpp"

#include <fmt/core.h>

#include <cerrno>
#include <fstream>
#include <system_error>

namespace milepost::tool {

void read_ledger(const std::string& file, const sensors::LedgerReader::OnEntry& on_entry) {
    std::ifstream stream{file, std::ios::binary};
    if (!stream) {
        throw Failure{
            exit_cannot_tell,
            fmt::format("{}: {}", file, std::generic_category().message(errno))};
    }
    sensors::LedgerReader reader;
    std::string piece(mib, '\0');
    while (stream) {
        stream.read(piece.data(), static_cast<std::streamsize>(piece.size()));
        const auto bytes = static_cast<std::size_t>(stream.gcount());
        if (const auto fed = reader.feed(std::string_view{piece}.substr(0, bytes), on_entry);
            !fed) {
            throw Failure{
                exit_cannot_tell,
                fmt::format("{}:{}: {}", file, reader.line(), fed.error().message())};
        }
    }
    if (stream.bad()) throw Failure{exit_cannot_tell, fmt::format("{}: cannot be read", file)};
}

}  // namespace milepost::tool
