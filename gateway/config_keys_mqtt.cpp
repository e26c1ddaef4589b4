#include "gateway/config_key_tables.hpp"

#include <array>

namespace milepost {

namespace {

constexpr std::int64_t path_bytes_max = 4095;
constexpr std::int64_t port_max = 0xFFFF;
constexpr std::int64_t mqtt_packet_bytes_max = 268'435'455 + 5;  // MQTT 5.0, 1.5.5
constexpr std::int64_t mqtt_text_bytes_max = 0xFFFF;             // MQTT 5.0, 1.5.4

constexpr std::array table{
    Key{"mqtt.listener",
        "address",
        KeyType::text,
        "\"127.0.0.1\"",
        {1, 64},
        "",
        "An IP address, \"0.0.0.0\" or \"::\" for all.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.listeners.back().address = keys::text(value);
        }},
    Key{"mqtt.listener",
        "port",
        KeyType::integer,
        "1883",
        {0, port_max},
        "",
        "0 takes a free one, which the log names.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.listeners.back().port = keys::number<std::uint16_t>(value);
        }},
    Key{"mqtt.listener",
        "anonymous",
        KeyType::boolean,
        "false",
        {},
        "",
        "Lets in whom neither password nor certificate vouches for: without those, everybody who "
        "can\n"
        "reach the address. Such a connection has no user.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.listeners.back().anonymous = std::get<bool>(value);
        }},
    Key{"mqtt.listener",
        "password_file",
        KeyType::text,
        "\"\"",
        {0, path_bytes_max},
        "",
        "Users and passwords, made by `milepost passwd`. Read again on SIGHUP, as the other files "
        "are\n"
        "that a listener names. $CREDENTIALS_DIRECTORY/ at the front is systemd's folder of "
        "secrets.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.listeners.back().password_file = keys::text(value);
        }},
    Key{"mqtt.listener",
        "acl_file",
        KeyType::text,
        "\"\"",
        {0, path_bytes_max},
        "",
        "Who may publish (write) and subscribe (read) where; what it does not allow is refused.\n"
        "Without it everything is allowed to whoever is let in.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.listeners.back().acl_file = keys::text(value);
        }},
    Key{"mqtt.listener",
        "certificate",
        KeyType::list,
        "\"\"",
        {0, path_bytes_max},
        "",
        "Makes it a TLS listener (1.2 and 1.3): a PEM file, the server's certificate first, then "
        "the "
        "chain.\n"
        "An array of files: each client gets the one for the host name that it asks for (SNI), "
        "else "
        "the first.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.listeners.back().certificates = keys::text(value);
        }},
    Key{"mqtt.listener",
        "key",
        KeyType::list,
        "\"\"",
        {0, path_bytes_max},
        "",
        "The certificate's private key, PEM, without a passphrase; as many as there are "
        "certificates.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.listeners.back().keys = keys::text(value);
        }},
    Key{"mqtt.listener",
        "tls_min",
        KeyType::text,
        "\"1.2\"",
        {},
        "1.2|1.3",
        "The oldest version of TLS that is spoken.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.listeners.back().tls_1_3_only = keys::text(value) == "1.3";
        }},
    Key{"mqtt.listener",
        "client_ca",
        KeyType::text,
        "\"\"",
        {0, path_bytes_max},
        "",
        "Asks clients for a certificate that one of these authorities (PEM) has signed.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.listeners.back().client_ca = keys::text(value);
        }},
    Key{"mqtt.listener",
        "client_certificate",
        KeyType::text,
        "\"required\"",
        {},
        "required|optional",
        "With client_ca. optional: who has none needs a password, or anonymous = true.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.listeners.back().client_certificate_required = keys::text(value) ==
                                                                       "required";
        }},
    Key{"mqtt.listener",
        "crl_file",
        KeyType::text,
        "\"\"",
        {0, path_bytes_max},
        "",
        "Revoked client certificates: a list (PEM) of each authority in their chains. One that has "
        "run out\n"
        "lets nobody in.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.listeners.back().crl_file = keys::text(value);
        }},
    Key{"mqtt.listener",
        "user_from_certificate",
        KeyType::text,
        "\"none\"",
        {},
        "none|cn|san_dns|san_uri|san_email",
        "Takes the user from the client's certificate: its common name, or its first alternative "
        "name of\n"
        "that type. No password is asked for then.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.listeners.back().user_from_certificate = keys::text(value);
        }},
    Key{"mqtt.listener",
        "client_id_is_user",
        KeyType::boolean,
        "false",
        {},
        "",
        "Refuses a client id that is not the user's name: nobody then takes another's session.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.listeners.back().client_id_is_user = std::get<bool>(value);
        }},

    Key{"mqtt",
        "max_packet_bytes",
        KeyType::bytes,
        "\"256KiB\"",
        {128, mqtt_packet_bytes_max},
        "",
        "The largest MQTT packet. Not over the largest record: the smaller of 1,000,000 and 1/8 "
        "of\n"
        "log.ring_bytes; the default follows a smaller ring down.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.packet_bytes_max = keys::number<std::size_t>(value);
        }},
    Key{"mqtt",
        "max_connections",
        KeyType::integer,
        "10000",
        {1, 1'000'000},
        "",
        "At the same time, all listeners together. The default suits 512 MiB of memory.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.connections_max = keys::number<std::size_t>(value);
        }},
    Key{"mqtt",
        "max_connections_per_address",
        KeyType::integer,
        "0",
        {0, 1'000'000},
        "",
        "Of one IPv4 address or one IPv6 /64. 0: no limit, for vehicles behind one router.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.connections_per_address_max = keys::number<std::size_t>(value);
        }},
    Key{"mqtt",
        "max_sessions",
        KeyType::integer,
        "100000",
        {1, 10'000'000},
        "",
        "Connected or kept; a CONNECT that would make one more is refused (5.0: 0x89).",
        [](Config& config, const KeyValue& value) {
            config.mqtt.sessions_max = keys::number<std::size_t>(value);
        }},
    Key{"mqtt",
        "max_publish_memory_bytes",
        KeyType::bytes,
        "\"64MiB\"",
        {keys::kibi, 64 * 1024 * keys::mebi},
        "",
        "For telling retransmissions apart, all sessions together: 16 bytes a publish, at most 256 "
        "of\n"
        "QoS 1 a session. Full, a late retransmission may be stored twice, and QoS 2 of new "
        "packet\n"
        "ids ends its connection (5.0: 0x97).",
        [](Config& config, const KeyValue& value) {
            config.mqtt.publish_memory_bytes_max = keys::number<std::size_t>(value);
        }},
    Key{"mqtt",
        "client_messages_per_second",
        KeyType::integer,
        "0",
        {0, 100'000'000},
        "",
        "What one connection may publish; over it its socket is read more slowly, nobody else's.\n"
        "0: no limit.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.messages_per_s_max = keys::number<std::uint64_t>(value);
        }},
    Key{"mqtt",
        "client_bytes_per_second",
        KeyType::bytes,
        "0",
        {0, 1024 * 1024 * keys::mebi},
        "",
        "The same in bytes that are received.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.bytes_per_s_max = keys::number<std::uint64_t>(value);
        }},
    Key{"mqtt",
        "connect_timeout",
        KeyType::seconds,
        "10",
        {1, 3600},
        "",
        "How long a connection may take until its CONNECT is whole.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.connect_timeout = std::chrono::seconds{keys::number<std::int64_t>(value)};
        }},
    Key{"mqtt",
        "write_timeout",
        KeyType::seconds,
        "60",
        {1, 3600},
        "",
        "How long a client may leave its answers unread before it is disconnected.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.write_timeout = std::chrono::seconds{keys::number<std::int64_t>(value)};
        }},
    Key{"mqtt",
        "in_flight_publishes",
        KeyType::integer,
        "256",
        {1, 0xFFFF},
        "",
        "Publishes that one connection may have unacknowledged before its socket is not read.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.in_flight_publishes_max = keys::number<std::size_t>(value);
        }},
    Key{"mqtt",
        "in_flight_bytes",
        KeyType::bytes,
        "\"256KiB\"",
        {128, 1024 * keys::mebi},
        "",
        "The same in bytes.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.in_flight_bytes_max = keys::number<std::size_t>(value);
        }},
    Key{"mqtt",
        "keep_alive_max",
        KeyType::seconds,
        "65535",
        {1, 0xFFFF},
        "",
        "A 5.0 client that asks for more, or for none, gets this one (Server Keep Alive).\n"
        "65535: whatever the client asks for.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.keep_alive_max = std::chrono::seconds{keys::number<std::int64_t>(value)};
        }},
    Key{"mqtt",
        "max_topic_bytes",
        KeyType::integer,
        "512",
        {1, mqtt_text_bytes_max},
        "",
        "The longest MQTT topic.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.topic_bytes_max = keys::number<std::size_t>(value);
        }},
    Key{"mqtt",
        "max_client_id_bytes",
        KeyType::integer,
        "256",
        {23, mqtt_text_bytes_max},
        "",
        "The longest client id.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.client_id_bytes_max = keys::number<std::size_t>(value);
        }},
    Key{"mqtt",
        "session_expiry_max",
        KeyType::seconds,
        "\"7d\"",
        {0, 0xFFFFFFFE},
        "",
        "How long a session outlives its connection at most.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.session_expiry_max = std::chrono::seconds{
                keys::number<std::int64_t>(value)};
        }},
    Key{"mqtt",
        "max_subscriptions",
        KeyType::integer,
        "100",
        {1, 10'000},
        "",
        "Of one session; more are refused (0x97; 3.1.1: 0x80).",
        [](Config& config, const KeyValue& value) {
            config.mqtt.subscriptions_max = keys::number<std::size_t>(value);
        }},
    Key{"mqtt",
        "queue_messages",
        KeyType::integer,
        "1000",
        {1, 60'000},
        "",
        "What one session may have queued and unacknowledged for its subscriptions. When it is "
        "full the\n"
        "newest message is dropped for this subscriber, and counted.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.queue_messages_max = keys::number<std::size_t>(value);
        }},
    Key{"mqtt",
        "queue_bytes",
        KeyType::bytes,
        "\"1MiB\"",
        {1024, 1024 * keys::mebi},
        "",
        "The same in bytes.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.queue_bytes_max = keys::number<std::size_t>(value);
        }},
    Key{"mqtt",
        "max_message_memory",
        KeyType::bytes,
        "\"64MiB\"",
        {keys::mebi, 64 * 1024 * keys::mebi},
        "",
        "All queued and retained messages of all sessions together.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.message_bytes_max = keys::number<std::size_t>(value);
        }},
    Key{"mqtt",
        "retained_messages",
        KeyType::integer,
        "10000",
        {0, 1'000'000},
        "",
        "Topics that have a retained message. Above it the reading is taken, but not retained, and "
        "counted.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.retained_messages_max = keys::number<std::size_t>(value);
        }},
    Key{"mqtt",
        "retained_bytes",
        KeyType::bytes,
        "\"16MiB\"",
        {0, 1024 * keys::mebi},
        "",
        "The same in bytes.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.retained_bytes_max = keys::number<std::size_t>(value);
        }},

    Key{"mqtt",
        "waiting_logins",
        KeyType::integer,
        "512",
        {1, 100'000},
        "",
        "Logins of different users or passwords that wait to be verified, one after the other, "
        "some\n"
        "50 ms each; the next one is told that the server is busy.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.waiting_logins_max = keys::number<std::size_t>(value);
        }},
    Key{"mqtt",
        "remembered_logins",
        KeyType::integer,
        "20000",
        {2, 10'000'000},
        "",
        "Logins that were right and are not verified again (a keyed hash of each, about 64 bytes).",
        [](Config& config, const KeyValue& value) {
            config.mqtt.remembered_logins_max = keys::number<std::size_t>(value);
        }},

    Key{"admin",
        "address",
        KeyType::text,
        "\"127.0.0.1\"",
        {1, 64},
        "",
        "There is no authentication here: whoever reaches it reads everything.",
        [](Config& config, const KeyValue& value) {
            config.admin.address = keys::text(value);
        }},
    Key{"admin",
        "port",
        KeyType::integer,
        "8080",
        {0, port_max},
        "",
        "",
        [](Config& config, const KeyValue& value) {
            config.admin.port = keys::number<std::uint16_t>(value);
        }},
};

}  // namespace

std::span<const Key> mqtt_keys() {
    return table;
}

}  // namespace milepost
