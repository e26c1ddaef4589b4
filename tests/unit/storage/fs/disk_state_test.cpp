#include "tests/support/disk_state.hpp"

#include <catch2/catch.hpp>

#include <set>
#include <string>

using namespace milepost;
using namespace milepost::test;
using storage::block_bytes;

namespace {

std::string text(const DiskContent& content) {
    std::string all(content.bytes(), '?');
    all.resize(content.read(0, std::as_writable_bytes(std::span{all})));
    return all;
}

}  // namespace

TEST_CASE("disk content: bytes go where they are written, holes are zeros", "[disk_state]") {
    DiskContent content;
    content.write(block_bytes - 2, as_bytes("abcd"));
    CHECK(text(content) == std::string(block_bytes - 2, '\0') + "abcd");
    content.write(0, as_bytes("x"));
    CHECK(text(content).substr(0, 2) == std::string("x\0", 2));
}

TEST_CASE("disk content: a copy does not see later writes", "[disk_state]") {
    DiskContent content;
    content.write(0, as_bytes("abcd"));
    const DiskContent copy = content;
    content.write(1, as_bytes("X"));
    CHECK(text(content) == "aXcd");
    CHECK(text(copy) == "abcd");
}

TEST_CASE("disk content: what was cut off is zero when the file grows again", "[disk_state]") {
    DiskContent content;
    content.write(0, as_bytes("abcd"));
    content.resize(2);
    content.resize(4);
    CHECK(text(content) == std::string("ab\0\0", 4));
}

TEST_CASE("disk inode: after a sync a power cut changes nothing", "[disk_state]") {
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        SeededRandom random{seed};
        DiskInode inode;
        inode.write(0, as_bytes("abcd"));
        inode.truncate(3);
        inode.make_durable(random, Tear::at_any_byte);
        inode.settle(random, Tear::at_any_byte);
        CHECK(text(inode.live) == "abc");
    }
}

TEST_CASE("disk inode: an unsynced write is kept, dropped or torn", "[disk_state]") {
    std::set<std::string> seen;
    for (std::uint64_t seed = 0; seed < 400; ++seed) {
        SeededRandom random{seed};
        DiskInode inode;
        inode.write(0, as_bytes("----"));
        inode.make_durable(random, Tear::at_any_byte);
        inode.write(0, as_bytes("abcd"));
        inode.settle(random, Tear::at_any_byte);
        seen.insert(text(inode.live));
    }
    CHECK(seen == std::set<std::string>{"----", "a---", "ab--", "abc-", "abcd"});
}

TEST_CASE("disk inode: a torn write is torn between sectors", "[disk_state]") {
    std::set<std::string> seen;
    for (std::uint64_t seed = 0; seed < 400; ++seed) {
        SeededRandom random{seed};
        DiskInode inode;
        inode.write(0, Buffer(1536, std::byte{'-'}));
        inode.make_durable(random, Tear::at_sectors);
        inode.write(0, Buffer(1536, std::byte{'x'}));
        inode.settle(random, Tear::at_sectors);
        const std::string all = text(inode.live);
        std::string sectors;
        for (std::size_t at = 0; at < all.size(); at += 512) {
            CHECK(all.substr(at, 512) == std::string(512, all[at]));
            sectors += all[at];
        }
        seen.insert(sectors);
    }
    CHECK(seen.size() == 8);  // every subset of three
}

TEST_CASE("disk inode: of two unsynced writes to one place the later one wins", "[disk_state]") {
    std::set<std::string> seen;
    for (std::uint64_t seed = 0; seed < 400; ++seed) {
        SeededRandom random{seed};
        DiskInode inode;
        inode.write(0, as_bytes("0"));
        inode.make_durable(random, Tear::at_any_byte);
        inode.write(0, as_bytes("1"));
        inode.write(0, as_bytes("2"));
        inode.write(512, as_bytes("3"));
        inode.settle(random, Tear::at_any_byte);
        seen.insert(text(inode.live).substr(0, 1) + (inode.live.bytes() == 513 ? "3" : ""));
    }
    // Also the last one alone: later writes do not wait for earlier ones.
    CHECK(seen == std::set<std::string>{"0", "1", "2", "03", "13", "23"});
}

TEST_CASE("disk inode: a sync that failed is never made up for", "[disk_state]") {
    std::set<std::string> seen;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        SeededRandom random{seed};
        DiskInode inode;
        inode.write(0, as_bytes("0"));
        inode.make_durable(random, Tear::at_any_byte);
        inode.write(0, as_bytes("1"));
        inode.doom();
        CHECK(text(inode.live) == "1");
        inode.make_durable(random, Tear::at_any_byte);  // says that all is well
        inode.settle(random, Tear::at_any_byte);
        seen.insert(text(inode.live));
    }
    CHECK(seen == std::set<std::string>{"0", "1"});
}

TEST_CASE("disk inode: what is written over a failed write lasts", "[disk_state]") {
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        SeededRandom random{seed};
        DiskInode inode;
        inode.write(0, as_bytes("1"));
        inode.doom();
        inode.write(0, as_bytes("2"));
        inode.make_durable(0, 1, random, Tear::at_any_byte);
        inode.settle(random, Tear::at_any_byte);
        CHECK(text(inode.live) == "2");
    }
}
