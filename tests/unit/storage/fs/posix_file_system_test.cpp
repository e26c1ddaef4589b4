#include "storage/fs/posix_file_system.hpp"

#include "storage/fs/memory_region.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

using namespace milepost;
using namespace milepost::storage;

namespace {

std::string read_text(File& file, std::uint64_t at, std::size_t bytes) {
    std::string text(bytes, '\0');
    const auto read = file.read_at(FilePosition{at}, std::as_writable_bytes(std::span{text}));
    REQUIRE(read);
    text.resize(*read);
    return text;
}

}  // namespace

TEST_CASE("posix: what is written is read back, and fewer bytes at the end", "[posix]") {
    const test::TempDir folder;
    PosixFileSystem files;
    auto file = files.open(folder.path() / "a", OpenMode::create_new);
    REQUIRE(file);
    REQUIRE((*file)->write_at(FilePosition{3}, as_bytes("hello")));
    REQUIRE((*file)->sync());
    CHECK(*(*file)->size() == 8);
    CHECK(read_text(**file, 0, 100) == std::string_view{"\0\0\0hello", 8});
    CHECK(read_text(**file, 7, 100) == "o");
    CHECK(read_text(**file, 8, 100).empty());
    REQUIRE((*file)->truncate(4));
    CHECK(read_text(**file, 3, 100) == "h");
    (*file)->forget_cached(FilePosition{0}, 0);
    (*file)->read_only_what_is_asked();
    (*file)->begin_write_out(FilePosition{0}, 4);
    CHECK(read_text(**file, 3, 100) == "h");
}

TEST_CASE("posix: both ways of a durable overwrite leave the same bytes", "[posix]") {
    const auto method = GENERATE(DurableWrite::fdatasync, DurableWrite::dsync);
    const test::TempDir folder;
    PosixFileSystem files{method};
    auto file = files.open(folder.path() / "ring", OpenMode::create);
    REQUIRE(file);
    const Buffer zeros(4 * block_bytes);
    REQUIRE((*file)->write_at(FilePosition{0}, zeros));
    REQUIRE((*file)->sync());
    MemoryRegion blocks{2 * block_bytes};
    std::memset(blocks.bytes().data(), 'x', blocks.bytes().size());
    REQUIRE((*file)->overwrite_durable(FilePosition{block_bytes}, blocks.bytes()));
    const std::string all = read_text(**file, 0, 5 * block_bytes);
    REQUIRE(all.size() == 4 * block_bytes);
    CHECK(all.substr(0, block_bytes) == std::string(block_bytes, '\0'));
    CHECK(all.substr(block_bytes, 2 * block_bytes) == std::string(2 * block_bytes, 'x'));
    CHECK(all.substr(3 * block_bytes) == std::string(block_bytes, '\0'));
}

TEST_CASE("posix: the mode says what may and must exist", "[posix]") {
    const test::TempDir folder;
    PosixFileSystem files;
    const auto path = folder.path() / "a";
    CHECK(files.open(path, OpenMode::read).error().value() == ENOENT);
    CHECK(files.open(path, OpenMode::write).error().value() == ENOENT);
    CHECK(files.open(path, OpenMode::create));
    CHECK(files.open(path, OpenMode::create));
    CHECK(files.open(path, OpenMode::create_new).error().value() == EEXIST);
    auto reader = files.open(path, OpenMode::read);
    REQUIRE(reader);
    CHECK((*reader)->write_at(FilePosition{0}, as_bytes("x")).error().value() == EBADF);
}

TEST_CASE("posix: folders are made, listed in order, and removed", "[posix]") {
    const test::TempDir folder;
    PosixFileSystem files;
    REQUIRE(files.make_directory(folder.path() / "b"));
    REQUIRE(files.make_directory(folder.path() / "b"));
    CHECK(files.make_directory(folder.path() / "x" / "y").error().value() == ENOENT);
    auto file = files.open(folder.path() / "a", OpenMode::create);
    REQUIRE(file);
    REQUIRE((*file)->write_at(FilePosition{0}, as_bytes("12345")));
    REQUIRE(files.rename(folder.path() / "a", folder.path() / "c"));
    REQUIRE(files.sync_directory(folder.path()));
    const auto entries = files.list(folder.path());
    REQUIRE(entries);
    REQUIRE(entries->size() == 2);
    CHECK((*entries)[0].name == "b");
    CHECK((*entries)[0].is_directory);
    CHECK((*entries)[1].name == "c");
    CHECK((*entries)[1].bytes == 5);
    REQUIRE(files.remove(folder.path() / "b"));
    REQUIRE(files.remove(folder.path() / "c"));
    CHECK(files.remove(folder.path() / "c").error().value() == ENOENT);
    CHECK(files.list(folder.path())->empty());
    CHECK(files.list(folder.path() / "x").error().value() == ENOENT);
    CHECK(files.make_directory("/dev/null/x").error().value() == ENOTDIR);
}

TEST_CASE("posix: a lock is held once and ends with its object", "[posix]") {
    const test::TempDir folder;
    PosixFileSystem files;
    auto held = files.lock(folder.path() / "lock");
    REQUIRE(held);
    CHECK(files.lock(folder.path() / "lock").error().value() == EWOULDBLOCK);
    held->reset();
    CHECK(files.lock(folder.path() / "lock"));
}

TEST_CASE("posix: a full device is an error of the write", "[posix]") {
    PosixFileSystem files;
    auto full = files.open("/dev/full", OpenMode::write);
    REQUIRE(full);
    const auto written = (*full)->write_at(FilePosition{0}, as_bytes("x"));
    CHECK(written.error() == boost::system::errc::no_space_on_device);
}

TEST_CASE("posix: the space of a folder is known", "[posix]") {
    const test::TempDir folder;
    PosixFileSystem files;
    const auto space = files.space(folder.path());
    REQUIRE(space);
    CHECK(space->capacity_bytes > 0);
    CHECK(space->available_bytes <= space->capacity_bytes);
    CHECK(files.space(folder.path() / "x").error().value() == ENOENT);
}
