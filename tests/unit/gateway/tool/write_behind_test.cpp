#include "gateway/tool/write_behind.hpp"

#include "storage/base/units.hpp"
#include "storage/fs/posix_file_system.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <iterator>
#include <memory>
#include <string>

using namespace milepost;
using namespace milepost::tool;

namespace {

// Takes so many pieces, and then the disk is full.
class FullFile final : public storage::File {
public:
    explicit FullFile(int room)
        : room_(room) {}

    Result<std::size_t> read_at(storage::FilePosition, MutableBytes) override { return 0U; }

    Result<void> write_at(storage::FilePosition, Bytes) override {
        if (room_-- > 0) return {};
        return ErrorCode{ENOSPC, boost::system::system_category()};
    }

    Result<void> overwrite_durable(storage::FilePosition, Bytes) override { return {}; }

    Result<void> sync() override { return {}; }

    Result<void> truncate(std::uint64_t) override { return {}; }

    Result<std::uint64_t> size() override { return 0U; }

    void forget_cached(storage::FilePosition, std::uint64_t) override {}

private:
    int room_;
};

}  // namespace

TEST_CASE("write behind: everything is in the file, in order, when it is synced", "[replay]") {
    const test::TempDir folder;
    storage::PosixFileSystem files;
    const auto path = folder.path() / "out";
    auto file = files.open(path, storage::OpenMode::create);
    REQUIRE(file.has_value());
    std::string expected;
    {
        WriteBehind writer{**file, 0};
        for (int i = 0; i < 40; ++i) {
            std::string text(
                mib / 2 + static_cast<std::size_t>(i),
                static_cast<char>('a' + i % 26)
            );
            expected += text;
            REQUIRE(writer.append(text).has_value());
            CHECK(text.empty());
            CHECK(writer.end() == expected.size());
        }
        REQUIRE(writer.sync().has_value());
    }
    std::ifstream in{path, std::ios::binary};
    CHECK((std::string{std::istreambuf_iterator<char>{in}, {}} == expected));
}

TEST_CASE("write behind: a full disk is told at the next call, and for ever", "[replay]") {
    FullFile file{1};
    WriteBehind writer{file, 0};
    std::string text = "one";
    REQUIRE(writer.append(text).has_value());
    text = "two";
    REQUIRE(writer.append(text).has_value());
    const auto synced = writer.sync();
    REQUIRE(!synced);
    CHECK(synced.error().value() == ENOSPC);
    text = "three";
    CHECK(!writer.append(text));
    CHECK(text == "three");
}
