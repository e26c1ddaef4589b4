#include "tests/support/forgetful_disk.hpp"

#include "storage/fs/memory_region.hpp"
#include "tests/support/matchers.hpp"

#include <catch2/catch.hpp>

#include <cerrno>
#include <set>
#include <string>

using namespace milepost;
using namespace milepost::test;
using namespace milepost::storage;

namespace {

std::unique_ptr<File> made(ForgetfulDisk& disk, const char* path) {
    auto file = disk.open(path, OpenMode::create);
    REQUIRE(file);
    return std::move(*file);
}

std::string content(const ForgetfulDisk& disk, const char* path) {
    const Buffer all = disk.content(path);
    return std::string{as_text(all)};
}

}  // namespace

TEST_CASE("forgetful disk: a synced file with a synced name survives", "[forgetful_disk]") {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        ForgetfulDisk disk{seed};
        REQUIRE(disk.make_directory("d"));
        REQUIRE(disk.sync_directory(""));
        auto file = made(disk, "d/a");
        REQUIRE(file->write_at(FilePosition{0}, as_bytes("abc")));
        REQUIRE(file->sync());
        REQUIRE(disk.sync_directory("d"));
        disk.power_cut();
        REQUIRE(disk.exists("d/a"));
        CHECK(content(disk, "d/a") == "abc");
    }
}

TEST_CASE("forgetful disk: an unsynced name is there or not", "[forgetful_disk]") {
    std::set<std::string> seen;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        ForgetfulDisk disk{seed};
        auto file = made(disk, "a");
        REQUIRE(file->write_at(FilePosition{0}, as_bytes("abc")));
        REQUIRE(file->sync());
        REQUIRE(disk.sync_directory(""));
        REQUIRE(disk.rename("a", "b"));
        disk.power_cut();
        seen.insert(std::string{disk.exists("a") ? "a" : ""} + (disk.exists("b") ? "b" : ""));
    }
    // A rename is one step: never both, never none.
    CHECK(seen == std::set<std::string>{"a", "b"});
}

TEST_CASE("forgetful disk: without its folder a file is not there", "[forgetful_disk]") {
    bool was_gone = false;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        ForgetfulDisk disk{seed};
        REQUIRE(disk.make_directory("d"));
        auto file = made(disk, "d/a");
        REQUIRE(disk.sync_directory("d"));
        disk.power_cut();
        CHECK(disk.exists("d") == disk.exists("d/a"));
        was_gone = was_gone || !disk.exists("d/a");
    }
    CHECK(was_gone);
}

TEST_CASE(
    "forgetful disk: a removed file may come back until its folder is synced",
    "[forgetful_disk]"
) {
    std::set<bool> seen;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        ForgetfulDisk disk{seed};
        static_cast<void>(made(disk, "a"));
        REQUIRE(disk.sync_directory(""));
        REQUIRE(disk.remove("a"));
        CHECK_FALSE(disk.exists("a"));
        disk.power_cut();
        seen.insert(disk.exists("a"));
    }
    CHECK(seen.size() == 2);
}

TEST_CASE("forgetful disk: a durable overwrite promises its own range only", "[forgetful_disk]") {
    bool was_lost = false;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        ForgetfulDisk disk{seed};
        auto file = made(disk, "a");
        REQUIRE(file->write_at(FilePosition{0}, Buffer(2 * block_bytes)));
        REQUIRE(file->sync());
        REQUIRE(disk.sync_directory(""));
        MemoryRegion block{block_bytes};
        block.bytes()[0] = std::byte{'x'};
        REQUIRE(file->write_at(FilePosition{0}, as_bytes("y")));
        REQUIRE(file->overwrite_durable(FilePosition{block_bytes}, block.bytes()));
        disk.power_cut();
        const std::string all = content(disk, "a");
        CHECK(all[block_bytes] == 'x');
        was_lost = was_lost || all[0] != 'y';
    }
    CHECK(was_lost);
}

TEST_CASE("forgetful disk: the n-th call fails, once or for ever", "[forgetful_disk]") {
    ForgetfulDisk disk;
    auto file = made(disk, "a");
    disk.fail(DiskCall::write, 2, {.error = ENOSPC, .short_bytes = 1});
    REQUIRE(file->write_at(FilePosition{0}, as_bytes("ab")));
    CHECK(file->write_at(FilePosition{2}, as_bytes("cd")).error().value() == ENOSPC);
    CHECK(content(disk, "a") == "abc");
    CHECK(file->write_at(FilePosition{2}, as_bytes("cd")));
    disk.fail(DiskCall::read, 1, {.error = EIO, .for_ever = true});
    std::byte byte{};
    CHECK(file->read_at(FilePosition{0}, {&byte, 1}).error().value() == EIO);
    CHECK(file->read_at(FilePosition{0}, {&byte, 1}).error().value() == EIO);
    disk.clear_faults();
    CHECK(file->read_at(FilePosition{0}, {&byte, 1}));
    CHECK(disk.count(DiskCall::write) == 3);
    CHECK(disk.count(DiskCall::read) == 3);
}

TEST_CASE("forgetful disk: each open file hears once of a failed sync", "[forgetful_disk]") {
    ForgetfulDisk disk;
    auto file = made(disk, "a");
    auto other = made(disk, "a");
    REQUIRE(file->write_at(FilePosition{0}, as_bytes("a")));
    disk.fail(DiskCall::sync, 1);
    CHECK(file->sync().error().value() == EIO);
    CHECK(file->sync());  // the lie
    CHECK(other->sync().error().value() == EIO);
    CHECK(other->sync());
    CHECK(made(disk, "a")->sync());
}

TEST_CASE("forgetful disk: a sync that lies keeps nothing", "[forgetful_disk]") {
    bool was_lost = false;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        ForgetfulDisk disk{seed};
        auto file = made(disk, "a");
        REQUIRE(disk.sync_directory(""));
        disk.fail(DiskCall::sync, 1, {.for_ever = true, .lies = true});
        REQUIRE(file->write_at(FilePosition{0}, as_bytes("a")));
        REQUIRE(file->sync());
        disk.power_cut();
        was_lost = was_lost || content(disk, "a").empty();
    }
    CHECK(was_lost);
}

TEST_CASE(
    "forgetful disk: after the crash every call fails until the power is back",
    "[forgetful_disk]"
) {
    ForgetfulDisk disk;
    auto file = made(disk, "a");
    REQUIRE(disk.sync_directory(""));
    disk.crash_at(2);
    REQUIRE(file->write_at(FilePosition{0}, as_bytes("a")));
    CHECK(file->sync().error().value() == EHOSTDOWN);
    CHECK(disk.is_off());
    CHECK(file->sync().error().value() == EHOSTDOWN);
    CHECK(disk.list("").error().value() == EHOSTDOWN);
    disk.power_cut();
    CHECK(disk.list(""));
    CHECK(file->sync().error().value() == ESTALE);
    CHECK(made(disk, "a")->sync());
}

TEST_CASE(
    "forgetful disk: a killed process loses nothing but what it had open",
    "[forgetful_disk]"
) {
    ForgetfulDisk disk;
    auto file = made(disk, "a");
    auto lock = disk.lock("lock");
    REQUIRE(lock);
    CHECK(disk.lock("lock").error().value() == EWOULDBLOCK);
    REQUIRE(file->write_at(FilePosition{0}, as_bytes("a")));
    disk.kill_process();
    CHECK(content(disk, "a") == "a");
    CHECK(file->size().error().value() == ESTALE);
    CHECK(disk.lock("lock"));
}

TEST_CASE("forgetful disk: one seed, one story", "[forgetful_disk]") {
    const auto story = [](std::uint64_t seed) {
        ForgetfulDisk disk{seed};
        auto file = made(disk, "a");
        REQUIRE(disk.sync_directory(""));
        for (std::uint64_t i = 0; i < 20; ++i) {
            REQUIRE(file->write_at(FilePosition{i * 700}, Buffer(3000, std::byte(i + 1))));
        }
        disk.power_cut();
        return content(disk, "a");
    };
    CHECK(story(7) == story(7));
    CHECK(story(7) != story(8));
}

TEST_CASE("forgetful disk: a full disk takes no new pages", "[forgetful_disk]") {
    ForgetfulDisk disk;
    disk.set_capacity(2 * block_bytes);
    auto file = made(disk, "a");
    REQUIRE(file->write_at(FilePosition{0}, Buffer(2 * block_bytes)));
    CHECK(file->write_at(FilePosition{2 * block_bytes}, as_bytes("x")).error().value() == ENOSPC);
    CHECK(file->write_at(FilePosition{5}, as_bytes("x")));
    CHECK(disk.space("")->available_bytes == 0);
    file.reset();
    REQUIRE(disk.remove("a"));
    REQUIRE(disk.sync_directory(""));
    CHECK(made(disk, "b")->write_at(FilePosition{0}, as_bytes("x")));
}

TEST_CASE("forgetful disk: a state can be put back", "[forgetful_disk]") {
    ForgetfulDisk disk;
    auto file = made(disk, "a");
    REQUIRE(file->write_at(FilePosition{0}, as_bytes("abc")));
    const DiskState before = disk.snapshot();
    REQUIRE(file->write_at(FilePosition{0}, as_bytes("xyz")));
    disk.restore(before);
    CHECK(content(disk, "a") == "abc");
    disk.flip_bit("a", 1, 0);
    CHECK(content(disk, "a") == "acc");
    disk.cut("a", 1);
    CHECK(content(disk, "a") == "a");
    CHECK(std::string{name(DiskCall::sync_directory)} == "syncdir");
}
