#include "gateway/disk_wear.hpp"

#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <fstream>

#include <sys/stat.h>
#include <sys/sysmacros.h>

using namespace milepost;

TEST_CASE("disk wear: the seventh field, in sectors", "[wear]") {
    CHECK(written_bytes_of("   1 2 3 4 5 6 10 8 9 10 11\n") == 5120);
    CHECK_FALSE(written_bytes_of("1 2 3 4 5 6"));
    CHECK_FALSE(written_bytes_of(""));
    CHECK_FALSE(written_bytes_of("1 2 x 4 5 6 7"));
}

TEST_CASE("disk wear: a folder's partition counts as its whole device", "[wear]") {
    const test::TempDir dir;

    struct ::stat info {};

    REQUIRE(::stat(dir.path().c_str(), &info) == 0);
    const auto disk = dir.path() / "devices" / "mmcblk9";
    std::filesystem::create_directories(disk / "mmcblk9p2");
    const auto write = [&](int sectors) {
        std::ofstream{disk / "stat"} << "1 2 3 4 5 6 " << sectors << " 8 9";
    };
    write(100);
    std::ofstream{disk / "mmcblk9p2" / "stat"} << "1 2 3 4 5 6 1 8 9";
    std::ofstream{disk / "mmcblk9p2" / "partition"} << "2";
    const auto number = std::to_string(major(info.st_dev)) + ":" +
                        std::to_string(minor(info.st_dev));
    std::filesystem::create_directory_symlink(disk / "mmcblk9p2", dir.path() / number);

    const DiskWear wear{dir.path(), dir.path()};
    CHECK(wear.device() == "mmcblk9");
    CHECK(wear.written_bytes() == 51'200);
    write(110);
    CHECK(wear.written_since_start() == 5120);
}

TEST_CASE("disk wear: where there is no device nothing is known", "[wear]") {
    const test::TempDir dir;
    const DiskWear wear{dir.path(), dir.path()};
    CHECK(wear.device().empty());
    CHECK_FALSE(wear.written_since_start());
}
