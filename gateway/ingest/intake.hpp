#pragma once

#include "gateway/ingest/route.hpp"
#include "gateway/mqtt/packet.hpp"
#include "storage/base/ack_token.hpp"
#include "storage/base/bytes.hpp"
#include "storage/base/stats.hpp"
#include "storage/base/time.hpp"
#include "storage/base/units.hpp"
#include "storage/format/record.hpp"
#include "storage/log/appender.hpp"

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace milepost::ingest {

// Every reading is accounted for: received = accepted + the rejected ones. Since the start of the
// process. Any thread may read.
struct IntakeStats {
    Counter received_qos0;
    Counter received_qos1;
    Counter received_qos2;
    Counter received_wills;
    Counter accepted;
    Counter rejected_qos0_overload;
    Counter rejected_no_route;  // or a topic that is too long
    Counter rejected_too_large;
    Counter rejected_acl;             // the sender may not publish there
    Counter rejected_duplicate;       // a retransmission of what the log has already
    Counter dropped_user_properties;  // named `mp.*` or `mqtt.*`: the record is kept without them
};

// A route with the partitions that its topic has in the log.
struct BoundRoute {
    Route route;
    std::vector<storage::PartitionId> partitions;
};

// What is to be made of one MQTT message.
struct Message {
    std::string_view client_id;
    std::string_view topic;
    Bytes payload;
    Bytes properties;  // MQTT 5.0's, checked
    bool retain = false;
    bool is_will = false;
    Bytes session_change{};  // as in Intake::publish
    std::string_view session_key{};
};

// MQTT message -> route -> key, headers, partition -> record in the open group. Where a message
// becomes a record, whichever door it came in by. Thread: the owner of the open group.
class Intake {
public:
    struct Limits {
        std::size_t topic_bytes_max = 512;  // longer MQTT topics are refused
        std::size_t group_bytes_max = 4 * mib;
    };

    Intake(storage::Appender& log, std::vector<BoundRoute> routes, Limits limits);

    // A PUBLISH. The token comes back when the record is durable, or, for a refused one, with the
    // acks around it. `later`: the log takes nothing at the moment; nothing was counted. QoS 0 that
    // is dropped is `refused`.
    // `session_change` of the client becomes durable with the record; not with a refusal. It goes
    // into the row of `session_key`; empty: of the client id.
    mqtt::Taken publish(
        const mqtt::Publish& publish,
        std::string_view client_id,
        AckToken token,
        Bytes session_change = {},
        std::string_view session_key = {}
    );

    // A PUBLISH that was taken before: counted, and its token comes back when what is before it in
    // the log is durable.
    void duplicate(const mqtt::Publish& publish, AckToken token);

    // A PUBLISH that its sender may not send: counted; its token, if it waits for an ack, comes
    // back with the acks around it.
    void forbidden(const mqtt::Publish& publish, AckToken token);
    void forbidden_will();

    // A will: like a QoS 1 publish that nobody waits for.
    mqtt::Taken will(const Message& message);

    // Before the machine's clock is synchronised, records say so: header mp.clock=unsynced.
    void set_clock_synced(bool synced) { clock_synced_ = synced; }

    // The wall time that the records of this turn get.
    void set_now(Timestamp now) { now_ = now; }

    [[nodiscard]] const IntakeStats& stats() const { return stats_; }

private:
    struct Place {
        const BoundRoute* route = nullptr;
        std::string_view key;
        bool rebuilds_topic = false;
    };

    [[nodiscard]] Counter& received(mqtt::Qos qos);
    [[nodiscard]] std::optional<Place> place(std::string_view topic, std::string_view client_id);
    ErrorCode append(const Message& message, const Place& place, std::optional<AckToken> token);
    void collect_headers(const Message& message, const Place& place);
    void collect_property_headers(Bytes properties);
    // A log keeps every reading: its expiry is for whoever reads it. Valid until the next call.
    std::string_view expiry_text(std::uint32_t seconds);
    void refuse(mqtt::ReasonCode reason, std::optional<AckToken> token);

    storage::Appender* log_;
    std::vector<BoundRoute> routes_;
    Limits limits_;
    IntakeStats stats_;
    Timestamp now_{};
    bool clock_synced_ = true;
    std::array<char, 10> expiry_digits_{};
    // Scratch, kept warm: nothing is allocated per message.
    Captures captures_;
    std::string key_;
    std::vector<storage::HeaderView> headers_;
};

}  // namespace milepost::ingest
