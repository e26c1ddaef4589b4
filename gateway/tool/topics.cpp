#include "gateway/json_writer.hpp"
#include "gateway/tool/commands.hpp"
#include "gateway/tool/failure.hpp"
#include "gateway/tool/table.hpp"

#include <map>

namespace milepost::tool {

namespace {

struct TopicFacts {
    std::int64_t partitions = 0;
    std::int64_t records = 0;  // durable and kept
};

}  // namespace

int run(const TopicsOptions& options) {
    std::map<std::string, TopicFacts> topics;
    for (const auto& facts : open_source(options.source)->partitions()) {
        auto& topic = topics[facts.name.topic];
        ++topic.partitions;
        topic.records += facts.durable - facts.start;
    }
    if (options.json) {
        JsonWriter writer;
        writer.begin_object().key("topics").begin_array();
        for (const auto& [name, facts] : topics) {
            writer.begin_object().key("topic").text(name);
            writer.key("partitions").integer(facts.partitions);
            writer.key("records").integer(facts.records).end_object();
        }
        writer.end_array().end_object();
        print_out(writer.str() + "\n");
        return exit_good;
    }
    Table table{.right_aligned = {false, true, true}, .rows = {{"TOPIC", "PARTITIONS", "RECORDS"}}};
    for (const auto& [name, facts] : topics) {
        table.rows.push_back({name, std::to_string(facts.partitions), std::to_string(facts.records)}
        );
    }
    print_out(table.text());
    return exit_good;
}

}  // namespace milepost::tool
