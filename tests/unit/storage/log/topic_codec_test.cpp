#include "storage/format/record_batch.hpp"
#include "storage/log/checkpointer.hpp"
#include "storage/log/disk_log.hpp"
#include "tests/support/forgetful_disk.hpp"
#include "tests/support/log_parts.hpp"
#include "tests/support/matchers.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <set>
#include <string>

namespace milepost::storage {

namespace {

LogConfig config_with_topics() {
    LogConfig config;
    config.data_dir = "/data";
    config.limit_bytes = gib;
    config.ring_bytes = ring_bytes_min;
    config.background = false;
    config.topic_codecs = {{"plain", Codec::none}, {"quick", Codec::lz4}};
    return config;
}

}  // namespace

TEST_CASE("topic codec: a topic has its own, the others the log's", "[log]") {
    test::ForgetfulDisk disk;
    test::RecordingKeeper keeper;
    test::RecordingListener listener;
    RecoveryReport report;
    auto log = DiskLog::open_for_writing(
        config_with_topics(),
        {.files = disk, .keeper = keeper, .listener = listener, .post = {}},
        report
    );
    REQUIRE(log);
    const std::set<std::string> topics{"plain", "quick", "other"};
    const auto codecs = [&](const std::string& topic) {
        std::set<Codec> found;
        const Buffer bytes = disk.content("/data/" + topic + "-0/00000000000000000000.log");
        for (Bytes rest = bytes; !rest.empty();) {
            const auto header = check_batch(rest);
            REQUIRE(header);
            found.insert(header->codec);
            rest = rest.subspan(header->total_bytes);
        }
        return found;
    };
    const auto put = [&](int groups) {
        for (int group = 0; group < groups; ++group) {
            for (const std::string& topic : topics) {
                const PartitionId id = (*log)->ensure_topic(topic, 1).value().front();
                REQUIRE((*log)->append(id, test::record("k", std::string(1000, 'v')), {}));
            }
            (*log)->commit();
        }
        REQUIRE((*log)->checkpoint_now());
    };
    put(10);
    CHECK(codecs("plain") == std::set{Codec::none});
    CHECK(codecs("quick") == std::set{Codec::lz4});
    CHECK(codecs("other") == std::set{Codec::zstd});
    // The ring is over 3/4 full: the dear one is left.
    put(58);
    CHECK(codecs("plain") == std::set{Codec::none});
    CHECK(codecs("quick") == std::set{Codec::lz4});
    CHECK(codecs("other") == std::set{Codec::lz4, Codec::zstd});
}

}  // namespace milepost::storage
