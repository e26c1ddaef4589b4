#include "gateway/tool/meta_look.hpp"

#include "storage/fs/posix_file_system.hpp"
#include "storage/log/adopt.hpp"
#include "storage/meta/database.hpp"
#include "storage/meta/errc.hpp"
#include "storage/meta/gap_ledger.hpp"
#include "storage/meta/schema.hpp"

#include <system_error>
#include <utility>

namespace milepost::tool {

namespace {

using storage::MetaErrc;

// Every page, as SQLite checks it: what is read later may lie beyond what was read now.
Result<std::string> check_pages(storage::Connection& connection) {
    auto check = connection.prepare("PRAGMA quick_check(1)");
    if (!check) return check.error();
    const auto row = check->step();
    if (!row) return row.error();
    return *row ? check->text(0) : std::string{};
}

bool is_damage(const ErrorCode& error) {
    return error == MetaErrc::corrupt || error == MetaErrc::not_ours;
}

}  // namespace

MetaLook look_at_meta(const std::filesystem::path& data_dir) {
    MetaLook look;
    storage::PosixFileSystem files;
    look.log_id = storage::find_log_id(files, data_dir);
    std::error_code ignored;
    look.is_there = std::filesystem::exists(data_dir / storage::meta_file_name, ignored);
    if (!look.is_there) return look;
    const auto give_up = [&](const ErrorCode& error) {
        look.is_damaged = is_damage(error);
        look.note = error.message();
        return look;
    };
    auto connection = storage::open_meta_read_only(data_dir);
    if (!connection) {
        // Killed before its first transaction: it is made when the gateway starts.
        if (connection.error() == MetaErrc::cannot_open) return look;
        return give_up(connection.error());
    }
    const auto checked = check_pages(*connection);
    if (!checked) return give_up(checked.error());
    if (*checked != "ok") {
        look.is_damaged = true;
        look.note = *checked;
        return look;
    }
    auto gaps = storage::GapLedger{*connection, look.log_id}.list();
    if (!gaps) return give_up(gaps.error());
    look.gaps = std::move(*gaps);
    return look;
}

}  // namespace milepost::tool
