#include "storage/meta/database.hpp"

#include "storage/meta/errc.hpp"

#include <sqlite3.h>

#include <chrono>
#include <system_error>
#include <utility>

#include <unistd.h>

namespace milepost::storage {

namespace {

constexpr std::chrono::milliseconds busy_timeout{5000};

MetaErrc meta_errc(int result) {
    switch (result & 0xff) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED: return MetaErrc::busy;
        case SQLITE_CORRUPT: return MetaErrc::corrupt;
        case SQLITE_NOTADB: return MetaErrc::not_ours;
        case SQLITE_FULL: return MetaErrc::disk_full;
        case SQLITE_READONLY:
        case SQLITE_PERM: return MetaErrc::read_only;
        case SQLITE_CANTOPEN: return MetaErrc::cannot_open;
        case SQLITE_IOERR: return MetaErrc::io_error;
        case SQLITE_NOMEM: return MetaErrc::no_memory;
        default: return MetaErrc::unexpected;
    }
}

// An immutable file is read without locks and without a -shm beside it.
std::string immutable_uri(const std::filesystem::path& file) {
    std::string uri = "file:";
    for (const char c : file.string()) {
        if (c == '?' || c == '#' || c == '%') {
            constexpr std::string_view digits = "0123456789abcdef";
            const auto code = static_cast<unsigned char>(c);
            uri += {'%', digits[code >> 4U], digits[code & 0xfU]};
        } else {
            uri += c;
        }
    }
    return uri + "?immutable=1";
}

std::filesystem::path wal_of(const std::filesystem::path& file) {
    return file.string() + "-wal";
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const {
    sqlite3_finalize(statement);
}

void Statement::bind(int parameter, std::int64_t value) {
    const int result = sqlite3_bind_int64(statement_.get(), parameter, value);
    if (bind_result_ == SQLITE_OK) bind_result_ = result;
}

void Statement::bind(int parameter, std::string_view text) {
    // A null pointer would bind NULL.
    const char* data = text.empty() ? "" : text.data();
    const int result = sqlite3_bind_text64(
        statement_.get(),
        parameter,
        data,
        text.size(),
        nullptr,  // SQLITE_STATIC
        SQLITE_UTF8
    );
    if (bind_result_ == SQLITE_OK) bind_result_ = result;
}

void Statement::bind(int parameter, Bytes bytes) {
    const void* data = bytes.empty() ? static_cast<const void*>("") : bytes.data();
    const int result =
        sqlite3_bind_blob64(statement_.get(), parameter, data, bytes.size(), nullptr);
    if (bind_result_ == SQLITE_OK) bind_result_ = result;
}

Result<bool> Statement::step() {
    if (bind_result_ != SQLITE_OK) return meta_errc(bind_result_);
    const int result = sqlite3_step(statement_.get());
    if (result == SQLITE_ROW) return true;
    if (result == SQLITE_DONE) return false;
    return meta_errc(result);
}

Result<void> Statement::run() {
    const auto stepped = step();
    reset();
    if (!stepped) return stepped.error();
    return {};
}

void Statement::reset() {
    sqlite3_reset(statement_.get());
    sqlite3_clear_bindings(statement_.get());
    bind_result_ = SQLITE_OK;
}

std::int64_t Statement::integer(int column) const {
    return sqlite3_column_int64(statement_.get(), column);
}

std::string Statement::text(int column) const {
    return std::string{as_text(bytes(column))};
}

Buffer Statement::bytes(int column) const {
    const auto* data = static_cast<const std::byte*>(sqlite3_column_blob(statement_.get(), column));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));
    return data == nullptr ? Buffer{} : Buffer{data, data + size};
}

void Connection::Close::operator()(sqlite3* database) const {
    sqlite3_close_v2(database);
}

void Connection::RemoveFolder::operator()(const std::filesystem::path* folder) const {
    std::error_code ignored;
    std::filesystem::remove_all(*folder, ignored);
    delete folder;
}

// A database whose last owner was killed has commits in its -wal that only a writer may bring home:
// whoever must not write works on a copy of both.
// The disk may be full or read-only, and the usual place for temporary files on it.
Result<Connection::CopyFolder> Connection::copy_aside(const std::filesystem::path& file) {
    std::error_code error;
    const auto temp = std::filesystem::temp_directory_path(error);
    if (!error) {
        auto copy = copy_to(temp, file);
        if (copy) return copy;
    }
    return copy_to("/dev/shm", file);
}

Result<Connection::CopyFolder> Connection::copy_to(
    const std::filesystem::path& temp,
    const std::filesystem::path& file
) {
    std::error_code error;
    std::string pattern = (temp / "milepost-meta-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) return MetaErrc::cannot_open;
    CopyFolder folder{new std::filesystem::path{pattern}};
    std::filesystem::copy_file(file, *folder / "meta.db", error);
    if (!error) std::filesystem::copy_file(wal_of(file), *folder / "meta.db-wal", error);
    if (error) return MetaErrc::io_error;
    return folder;
}

// SQLite takes the memory of twenty pages at a connection's first read; meta.db has few. Before
// the first connection, or SQLite refuses.
void take_pages_one_by_one() {
    constexpr int none = 0;
    [[maybe_unused]] static const int set =
        sqlite3_config(SQLITE_CONFIG_PAGECACHE, nullptr, none, none);
}

Result<Connection> Connection::open(const std::filesystem::path& file, Access access) {
    take_pages_one_by_one();
    Connection connection;
    std::string name = file.string();
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (access == Access::read_only) {
        std::error_code error;
        const auto wal_bytes = std::filesystem::file_size(wal_of(file), error);
        if (!error && wal_bytes > 0) {
            auto copy = copy_aside(file);
            if (!copy) return copy.error();
            connection.copy_ = std::move(copy).value();
            name = (*connection.copy_ / "meta.db").string();
            flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
        } else {
            name = immutable_uri(file);
            flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX;
        }
    }

    sqlite3* database = nullptr;
    const int opened = sqlite3_open_v2(name.c_str(), &database, flags, nullptr);
    connection.database_.reset(database);  // also a failed open gives a handle to close
    if (opened != SQLITE_OK) return meta_errc(opened);
    sqlite3_busy_timeout(database, static_cast<int>(busy_timeout.count()));
    if (access == Access::read_write) {
        MILEPOST_TRY(connection.run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL"));
    }
    return connection;
}

Result<void> Connection::stand_by(std::function<Result<Connection>()> reopen) {
    MILEPOST_TRY(run("PRAGMA query_only=1"));
    reopen_ = std::move(reopen);
    return {};
}

void Connection::regain() {
    if (!reopen_) return;
    auto writing = reopen_();
    if (writing) *this = std::move(*writing);
}

Result<void> Connection::run(const char* statements) {
    regain();
    const int result = sqlite3_exec(database_.get(), statements, nullptr, nullptr, nullptr);
    if (result != SQLITE_OK) return meta_errc(result);
    return {};
}

Result<Statement> Connection::prepare(std::string_view statement) {
    regain();
    sqlite3_stmt* prepared = nullptr;
    const int result = sqlite3_prepare_v2(
        database_.get(),
        statement.data(),
        static_cast<int>(statement.size()),
        &prepared,
        nullptr
    );
    if (result != SQLITE_OK) return meta_errc(result);
    return Statement{prepared};
}

Result<std::int64_t> Connection::number(std::string_view query) {
    auto statement = prepare(query);
    if (!statement) return statement.error();
    const auto row = statement->step();
    if (!row) return row.error();
    return row.value() ? statement->integer(0) : 0;
}

Result<Transaction> Transaction::begin(Connection& connection) {
    MILEPOST_TRY(connection.run("BEGIN IMMEDIATE"));
    return Transaction{connection};
}

Transaction::Transaction(Transaction&& other) noexcept
    : connection_(std::exchange(other.connection_, nullptr)) {}

Transaction::~Transaction() {
    if (connection_ == nullptr) return;
    // A failure has rolled back already, or the file is in a state that the next BEGIN will tell.
    if (const auto rolled_back = connection_->run("ROLLBACK"); !rolled_back) return;
}

Result<void> Transaction::commit() {
    MILEPOST_TRY(connection_->run("COMMIT"));
    connection_ = nullptr;
    return {};
}

}  // namespace milepost::storage
