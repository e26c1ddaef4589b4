#include "firmware-sim/paho_link.hpp"

#include <mqtt/async_client.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace milepost::fleet {

namespace {

constexpr std::chrono::seconds keep_alive{30};
constexpr std::chrono::seconds connect_timeout{10};
constexpr std::uint32_t session_expiry_s = 24 * 3600;
constexpr int refused_code_min = 0x80;  // MQTT 5, 2.4: reason codes from here on are failures
constexpr int write_failed = -1;        // Paho's SOCKET_ERROR

// Holds the publishes that Paho has taken but not yet put on the wire, so that they can be counted:
// Paho puts each into its persistence (keys c-<n>, in version 5 c5-<n>: MQTTPersistence.h), gets it
// back to send it and removes it. Of the rest nothing is stored, and nothing is ever restored: what
// a vehicle keeps is its outbox. Called by any thread that uses Paho.
class UnsentPublishes final : public ::mqtt::iclient_persistence {
public:
    [[nodiscard]] bool is_empty() const {
        const std::lock_guard lock{mutex_};
        return publishes_.empty();
    }

    void open(const std::string&, const std::string&) override {}

    void close() override {}

    void clear() override {
        const std::lock_guard lock{mutex_};
        publishes_.clear();
    }

    bool contains_key(const std::string& key) override {
        const std::lock_guard lock{mutex_};
        return publishes_.contains(key);
    }

    [[nodiscard]] ::mqtt::string_collection keys() const override { return {}; }

    void put(const std::string& key, const std::vector<::mqtt::string_view>& pieces) override {
        if (!key.starts_with('c')) return;
        std::string whole;
        for (const ::mqtt::string_view piece : pieces)
            whole.append(piece.data(), piece.size());
        const std::lock_guard lock{mutex_};
        publishes_.insert_or_assign(key, std::move(whole));
    }

    [[nodiscard]] std::string get(const std::string& key) const override {
        const std::lock_guard lock{mutex_};
        return publishes_.at(key);  // the exception becomes Paho's error
    }

    void remove(const std::string& key) override {
        const std::lock_guard lock{mutex_};
        publishes_.erase(key);
    }

private:
    mutable std::mutex mutex_;
    std::map<std::string, std::string> publishes_;  // guarded by mutex_
};

}  // namespace

// One Paho client. Its handlers run on Paho's receive thread (one for all clients of the process,
// with Paho's lock held) and only leave events. A *probe* is a client that asks whether the gateway
// has the session: see PahoLink::connect().
class PahoLink::Client {
public:
    // `attempt` is 0 for the vehicle's own client.
    Client(PahoLink& link, std::uint32_t attempt)
        : link_(&link)
        , attempt_(attempt)
        , is_probe_(attempt != 0)
        , on_connect_(
              [this](const auto& token) { connected(token); },
              [this](const auto&) { not_connected(); }
          )
        , on_publish_(
              [this](const auto& token) {
                  post({.kind = LinkEventKind::acknowledged, .seq = seq_of(token)});
              },
              [this](const auto& token) { not_delivered(token); }
          )
        , on_disconnect_([this](const auto&) { ended(); }, [this](const auto&) { ended(); })
        , client_(
              "tcp://" + link.settings_.host + ':' + std::to_string(link.settings_.port),
              link.client_id_,
              ::mqtt::create_options{version()},
              &unsent_
          ) {
        client_.set_connection_lost_handler([this](const std::string&) {
            if (!is_probe_) return post({.kind = LinkEventKind::lost});
            ended();  // whatever was asked of it, a disconnect perhaps
        });
    }

    // True if Paho has publishes that it would send as soon as it is connected, whatever the
    // gateway then says about the session.
    [[nodiscard]] bool has_unsent() const { return !unsent_.is_empty(); }

    [[nodiscard]] bool is_connected() const { return client_.is_connected(); }

    // A write failed, so that Paho C up to 1.3.12 has freed the publish that it still has in
    // flight: connected again, it would send what now lies there, and destroyed, it would free it
    // twice.
    [[nodiscard]] bool is_broken() const { return is_broken_; }

    // A probe becomes the vehicle's own client. It has told nobody yet that it is connected.
    void promote() {
        is_probe_ = false;
        was_connected_ = false;
    }

    // The vehicle was told that this client is connected.
    void note_connected() { was_connected_ = true; }

    // Leaves no further event.
    void mute() { is_muted_ = true; }

    void connect() {
        is_connecting_ = true;
        if (client_.is_connected()) {  // see connected()
            disconnect();
            return not_connected();
        }
        ::mqtt::connect_options options;
        options.set_mqtt_version(version());
        options.set_keep_alive_interval(keep_alive);
        options.set_connect_timeout(connect_timeout);
        if (!link_->settings_.user.empty()) {
            options.set_user_name(link_->settings_.user);
            options.set_password(link_->settings_.password);
        }
        options.set_max_inflight(static_cast<int>(link_->settings_.in_flight_max));
        if (link_->settings_.version == MqttVersion::v5) {
            options.set_clean_start(false);
            ::mqtt::properties properties;
            properties.add({::mqtt::property::SESSION_EXPIRY_INTERVAL, session_expiry_s});
            options.set_properties(properties);
        } else {
            options.set_clean_session(false);
        }
        try {
            // A copy: Paho C++ 1.2.0 loses the properties of options that are moved.
            client_.connect(options, nullptr, on_connect_);
        } catch (const ::mqtt::exception&) {
            not_connected();
        }
    }

    void disconnect() {
        try {
            client_.disconnect(0, nullptr, on_disconnect_);
        } catch (const ::mqtt::exception&) {
            ended();  // was not connected
        }
    }

    bool publish(std::uint64_t seq, const std::string& payload) {
        static_assert(sizeof(void*) >= sizeof seq, "the number travels as Paho's user context");
        // NOLINTNEXTLINE(performance-no-int-to-ptr)
        auto* const context = reinterpret_cast<void*>(seq);
        try {
            client_.publish(
                ::mqtt::make_message(link_->topic_, payload, link_->settings_.qos, false),
                context,
                on_publish_
            );
            return true;
        } catch (const ::mqtt::exception&) {
            return false;  // not connected
        }
    }

private:
    class Listener final : public ::mqtt::iaction_listener {
    public:
        using Handler = std::function<void(const ::mqtt::token&)>;

        Listener(Handler success, Handler failure)
            : success_(std::move(success))
            , failure_(std::move(failure)) {}

        void on_success(const ::mqtt::token& token) override { success_(token); }

        void on_failure(const ::mqtt::token& token) override { failure_(token); }

    private:
        Handler success_;
        Handler failure_;
    };

    [[nodiscard]] int version() const {
        return link_->settings_.version == MqttVersion::v5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
    }

    static std::uint64_t seq_of(const ::mqtt::token& token) {
        return reinterpret_cast<std::uintptr_t>(token.get_user_context());
    }

    void not_connected() {
        if (is_connecting_.exchange(false)) post({.kind = LinkEventKind::connect_failed});
    }

    // Paho 1.3.12 sometimes says of one connect that it failed and then that it succeeded: when it
    // still closes the former socket. Such a connection is closed, and made again.
    void connected(const ::mqtt::token& token) {
        if (!is_connecting_.exchange(false)) return disconnect();
        const ::mqtt::connect_response response = token.get_connect_response();
        const ::mqtt::properties& properties = response.get_properties();
        std::size_t window = link_->settings_.in_flight_max;
        if (properties.contains(::mqtt::property::RECEIVE_MAXIMUM)) {
            const auto receive_max =
                ::mqtt::get<std::uint16_t>(properties, ::mqtt::property::RECEIVE_MAXIMUM);
            window = std::min<std::size_t>(window, receive_max);
        }
        post({
            .kind = is_probe_ ? LinkEventKind::step : LinkEventKind::connected,
            .window = window,
            // To the vehicle a session that this client does not know is none.
            .session_present = response.is_session_present() && (is_probe_ || was_connected_),
        });
        if (!is_probe_) was_connected_ = true;
    }

    void not_delivered(const ::mqtt::token& token) {
        if (token.get_return_code() == write_failed) is_broken_ = true;
        // Without MQTT 5 the code is a cut of Paho's own error number.
        const auto code = static_cast<int>(token.get_reason_code());
        const bool is_refused = version() == MQTTVERSION_5 && code >= refused_code_min;
        post({
            .kind = is_refused ? LinkEventKind::refused : LinkEventKind::given_back,
            .seq = seq_of(token),
            .code = static_cast<std::uint8_t>(is_refused ? code : 0),
        });
    }

    void ended() { post({.kind = is_probe_ ? LinkEventKind::step : LinkEventKind::disconnected}); }

    void post(LinkEvent event) {
        if (is_muted_) return;
        event.vehicle = link_->vehicle_;
        event.attempt = attempt_;
        event.at = monotonic_now();
        event.wall = wall_now();
        link_->sink_.push(event);
    }

    PahoLink* link_;
    std::uint32_t attempt_;
    std::atomic<bool> is_probe_;
    std::atomic<bool> is_muted_ = false;
    std::atomic<bool> is_broken_ = false;
    std::atomic<bool> is_connecting_ = false;  // connect() is not answered yet
    std::atomic<bool> was_connected_ = false;
    // Declared before the client, which uses them until its end.
    UnsentPublishes unsent_;
    Listener on_connect_;
    Listener on_publish_;
    Listener on_disconnect_;
    ::mqtt::async_client client_;
};

PahoLink::PahoLink(
    const LinkSettings& settings,
    std::uint32_t vehicle,
    const LinkIdentity& identity,
    EventSink sink
)
    : settings_(settings)
    , vehicle_(vehicle)
    , client_id_(identity.client_id)
    , topic_(settings.topic_prefix + '/' + identity.vehicle_id + "/telemetry")
    , sink_(sink)
    , client_(std::make_unique<Client>(*this, 0)) {}

PahoLink::~PahoLink() {
    retire_client();
}

// Paho sends what it still holds as soon as it sees CONNACK, before it can be told otherwise. If
// the gateway has lost the session, that is the wrong order: what was in flight before would come
// after it. So a client that holds publishes that it never sent does not connect until a fresh one
// has asked whether the session is there.
void PahoLink::connect() {
    probe_.reset();
    is_probe_closing_ = false;
    if (client_->is_broken()) replace_client();
    if (!client_->has_unsent()) {
        client_->connect();
        return;
    }
    probe_ = std::make_unique<Client>(*this, ++attempt_);
    probe_->connect();
}

void PahoLink::step(const LinkEvent& answer) {
    if (!probe_ || answer.attempt != attempt_) return;  // of an earlier attempt
    if (is_probe_closing_) {
        probe_.reset();
        client_->connect();
    } else if (!probe_->is_connected()) {
        probe_.reset();
        fail(answer);
    } else if (answer.session_present) {
        is_probe_closing_ = true;
        probe_->disconnect();
    } else {
        take_over(answer);
    }
}

// There is no session to resume: the probe becomes the vehicle's client, with nothing in it.
void PahoLink::take_over(const LinkEvent& answer) {
    retire_client();
    client_ = std::move(probe_);
    client_->promote();
    // If the connection went before promote(), nobody else says so.
    if (!client_->is_connected()) return fail(answer);
    client_->note_connected();
    LinkEvent event = answer;
    event.kind = LinkEventKind::connected;
    sink_.push(event);
}

void PahoLink::fail(LinkEvent event) const {
    event.kind = LinkEventKind::connect_failed;
    sink_.push(event);
}

void PahoLink::abandon() {
    probe_.reset();
    replace_client();
}

// To the new client every session is none: the vehicle sends again what is not acknowledged.
void PahoLink::replace_client() {
    retire_client();
    client_ = std::make_unique<Client>(*this, 0);
}

void PahoLink::retire_client() {
    client_->mute();
    // A broken one is never destroyed; not connected, it waits for the end of the process.
    if (client_->is_broken()) static_cast<void>(client_.release());
    client_.reset();
}

bool PahoLink::publish(std::uint64_t seq, const std::string& payload) {
    return client_->publish(seq, payload);
}

void PahoLink::disconnect() {
    client_->disconnect();
}

}  // namespace milepost::fleet
