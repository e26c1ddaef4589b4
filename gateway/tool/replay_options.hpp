#pragma once

#include "gateway/tool/mqtt_options.hpp"
#include "gateway/tool/pacer.hpp"
#include "gateway/tool/replay_sink.hpp"
#include "gateway/tool/selection.hpp"
#include "storage/base/time.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace milepost::tool {

// Where a command finds the log.
struct SourceOptions {
    std::string url = "http://127.0.0.1:8080";
    std::string data_dir;  // not empty: the folder of a stopped gateway
};

// Of replay, and of export, which knows files only.
struct ReplayOptions {
    bool is_export = false;
    SourceOptions source;
    std::string from_file;   // not empty: NDJSON instead of a log
    std::string from_kafka;  // not empty: brokers, HOST:PORT,…, instead of a log
    std::string gateway_id;  // for `mp.id`; empty: the gateway's own
    Selection selection;
    std::string since;  // as given: a state of another time is another plan's
    std::string until;
    std::string to = "-";  // a file, `-`, kafka://HOST:PORT,… or mqtt[s]://HOST[:PORT]
    MqttOptions mqtt;
    std::vector<std::pair<std::string, std::string>> properties;  // of librdkafka
    FileFormat format = FileFormat::ndjson;
    Speed speed;
    std::optional<Duration> gap_max;
    bool shifts_time = false;
    std::string resume;  // the state file; empty: none, but for a file its own
    bool dry_run = false;
    bool json = false;
};

}  // namespace milepost::tool
