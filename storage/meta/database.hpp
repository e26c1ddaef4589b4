#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace milepost::storage {

// A prepared statement. Parameters and columns count from 1 and 0, as in SQLite. Bound text and
// bytes are not copied: they must live until the next reset(). Lifetime: not longer than its
// Connection. Thread: the Connection's.
class Statement {
public:
    void bind(int parameter, std::int64_t value);
    void bind(int parameter, std::string_view text);
    void bind(int parameter, Bytes bytes);

    // True: there is a row to read. False: done. A failed bind is reported here.
    Result<bool> step();
    // For statements without rows: runs it to its end and makes it ready for the next run.
    Result<void> run();
    void reset();

    [[nodiscard]] std::int64_t integer(int column) const;
    [[nodiscard]] std::string text(int column) const;
    [[nodiscard]] Buffer bytes(int column) const;

private:
    friend class Connection;

    struct Finalize {
        void operator()(sqlite3_stmt* statement) const;
    };

    explicit Statement(sqlite3_stmt* statement)
        : statement_(statement) {}

    std::unique_ptr<sqlite3_stmt, Finalize> statement_;
    int bind_result_ = 0;
};

// One connection to a database file. Used by one thread at a time; each thread opens its own.
class Connection {
public:
    enum class Access : std::uint8_t {
        read_write,  // makes the file; WAL, synchronous=FULL: what was committed is on the disk
        read_only,   // writes nothing beside the file either, not even a -shm
    };

    static Result<Connection> open(const std::filesystem::path& file, Access access);

    // This connection reads, and refuses to write (MetaErrc::read_only), until `reopen` gives one
    // that writes, which it then becomes: tried before every statement. For a disk that cannot be
    // written now: full, or read-only.
    Result<void> stand_by(std::function<Result<Connection>()> reopen);

    // One or more statements without parameters and without rows.
    Result<void> run(const char* statements);
    Result<Statement> prepare(std::string_view statement);
    // The first column of the only row of `query`.
    Result<std::int64_t> number(std::string_view query);

private:
    struct Close {
        void operator()(sqlite3* database) const;
    };

    struct RemoveFolder {
        void operator()(const std::filesystem::path* folder) const;
    };

    using CopyFolder = std::unique_ptr<const std::filesystem::path, RemoveFolder>;

    Connection() = default;

    static Result<CopyFolder> copy_aside(const std::filesystem::path& file);
    static Result<CopyFolder> copy_to(
        const std::filesystem::path& temp,
        const std::filesystem::path& file
    );
    void regain();

    // Declared first, destroyed last: the copy that a reader of an unfinished WAL works on.
    CopyFolder copy_;
    std::unique_ptr<sqlite3, Close> database_;
    std::function<Result<Connection>()> reopen_;  // while it stands by
};

// BEGIN IMMEDIATE … COMMIT; rolled back when it is destroyed without commit().
class Transaction {
public:
    static Result<Transaction> begin(Connection& connection);

    Transaction(Transaction&& other) noexcept;
    Transaction& operator=(Transaction&&) = delete;
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    ~Transaction();

    // Durable when this returns well.
    Result<void> commit();

private:
    explicit Transaction(Connection& connection)
        : connection_(&connection) {}

    Connection* connection_;
};

}  // namespace milepost::storage
