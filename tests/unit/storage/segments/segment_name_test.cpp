#include "storage/log/segment_name.hpp"

#include <catch2/catch.hpp>

#include <limits>
#include <string>

using namespace milepost::storage;

TEST_CASE("segment name: 20 digits and the kind", "[segment]") {
    CHECK(segment_file_name(Offset{0}, SegmentFile::log) == "00000000000000000000.log");
    CHECK(
        segment_file_name(Offset{4711}, SegmentFile::offset_index) == "00000000000000004711.index"
    );
    const Offset last{std::numeric_limits<std::int64_t>::max()};
    CHECK(segment_file_name(last, SegmentFile::time_index) == "09223372036854775807.timeindex");
    for (const auto kind : {SegmentFile::log, SegmentFile::offset_index, SegmentFile::time_index}) {
        const SegmentFileName name{last, kind};
        CHECK(parse_segment_file_name(segment_file_name(last, kind)) == name);
    }
}

TEST_CASE("segment name: other files are none of ours", "[segment]") {
    for (const char* name :
         {"",
          "0.log",
          "0000000000000000000.log",
          "000000000000000000000.log",
          "00000000000000000000",
          "00000000000000000000.log~",
          "00000000000000000000.snapshot",
          "0000000000000000000x.log",
          "-0000000000000000001.log",
          "+0000000000000000001.log",
          " 0000000000000000001.log",
          "99999999999999999999.log",
          "partition.metadata"}) {
        INFO(name);
        CHECK_FALSE(parse_segment_file_name(name));
    }
}

TEST_CASE("segment name: a partition's folder is topic and number", "[segment]") {
    const TopicPartition partition{"vehicle-telemetry", 12};
    CHECK(partition_folder_name(partition) == "vehicle-telemetry-12");
    CHECK(parse_partition_folder_name("vehicle-telemetry-12") == partition);
    CHECK(parse_partition_folder_name("t-0") == TopicPartition{"t", 0});
    CHECK(parse_partition_folder_name("t--1") == TopicPartition{"t-", 1});
    for (const std::string name :
         {"journal", "t-", "-0", "t-00", "t-01", "t-1x", "t-2147483648", "t/u-0", "..-0", ".-0"}) {
        INFO(name);
        CHECK_FALSE(parse_partition_folder_name(name));
    }
}

TEST_CASE("segment name: topics have Kafka's limits", "[segment]") {
    CHECK(is_topic_name("vehicle.telemetry_1-x"));
    CHECK(is_topic_name(std::string(topic_bytes_max, 'a')));
    CHECK_FALSE(is_topic_name(std::string(topic_bytes_max + 1, 'a')));
    for (const char* topic : {"", ".", "..", "a b", "a/b", "\xc3\xa4"}) {
        CHECK_FALSE(is_topic_name(topic));
    }
}
