// Every place in storage/ where something is made durable, and the test that goes red without it. A
// new one is to be entered here, with its row or scenario there.
#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>
#include <string>

namespace milepost::test {

namespace {

struct Sites {
    std::size_t calls;
    const char* shown_by;
};

const std::map<std::string, Sites> sites{
    {"journal/ring.cpp",
     {8,
      "crash_lies_test: create, make_file, open, settle, commit, write_slot. Needed by no promise: "
      "prewrite_more (blocks are allocated before a commit overwrites them), remove_older (only "
      "the "
      "highest generation is read)"}},
    {"log/checkpointer.cpp", {1, "calls PartitionWriter::sync"}},
    {"log/disk_log.cpp", {1, "crash_lies_test: ensure_topic"}},
    {"log/disk_log_journal.cpp",
     {4, "crash_lies_test: sync_names; ring_renewal_test: rings that are set aside"}},
    {"log/partition_writer.cpp",
     {3,
      "crash_lies_test: sync and the place that end_segment keeps. The sync of that empty file is "
      "for file systems where a name may be durable before its file"}},
    {"log/recovery.cpp", {1, "crash_lies_test: make_folder"}},
    {"log/repair_work.cpp", {5, "repair_test: the power goes at every call, and it is done again"}},
    {"log/retainer.cpp", {1, "crash_lies_test: removals"}},
    {"log/segment_recovery.cpp",
     {3,
      "crash_lies_test: settle, removals that are ended. write_again: the same file is synced once "
      "more by settle; this one is told of an error of its own writes"}},
    {"log/segment_repair.cpp", {1, "repair_test, as above"}},
    {"log/segment_writer.cpp",
     {4, "crash_lies_test: the segment and its name. Of the indexes: needed by no promise"}},
    {"log/set_aside.cpp", {3, "repair_test, as above"}},
};

std::size_t count_calls(const std::filesystem::path& file) {
    static const std::regex call{R"((->|\.)(sync|sync_directory|overwrite_durable)\()"};
    std::ifstream in{file};
    std::stringstream text;
    text << in.rdbuf();
    const std::string all = text.str();
    return static_cast<std::size_t>(
        std::distance(std::sregex_iterator{all.begin(), all.end(), call}, std::sregex_iterator{})
    );
}

}  // namespace

TEST_CASE("crash: every call that makes something durable is known here", "[crash]") {
    const std::filesystem::path storage{MILEPOST_STORAGE_SOURCES};
    std::map<std::string, std::size_t> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator{storage}) {
        const std::string name = entry.path().lexically_relative(storage).generic_string();
        if (entry.path().extension() != ".cpp" || name.starts_with("fs/")) continue;
        if (const std::size_t calls = count_calls(entry.path()); calls > 0) found[name] = calls;
    }
    std::map<std::string, std::size_t> known;
    for (const auto& [name, site] : sites)
        known[name] = site.calls;
    CHECK(found == known);
}

}  // namespace milepost::test
