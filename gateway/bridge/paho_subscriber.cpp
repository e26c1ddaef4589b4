#include "gateway/bridge/paho_subscriber.hpp"

#include "gateway/bridge/failure_text.hpp"
#include "gateway/bridge/inbound_store.hpp"
#include "gateway/forward/backoff.hpp"
#include "gateway/mqtt/encode.hpp"

#include <mqtt/async_client.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace milepost::bridge {

namespace {

constexpr std::chrono::milliseconds stop_look{100};
constexpr std::chrono::milliseconds disconnect_max{1'000};
constexpr int failure_code_min = 0x80;
constexpr std::size_t tls_text_bytes_max = 256;

// Paho's view of an InboundStore.
class Persistence final : public ::mqtt::iclient_persistence {
public:
    explicit Persistence(InboundStore store)
        : store_(std::move(store)) {}

    void open(const std::string&, const std::string&) override {}

    void close() override {}

    void clear() override {}

    bool contains_key(const std::string& key) override { return store_.contains(key); }

    [[nodiscard]] ::mqtt::string_collection keys() const override {
        return ::mqtt::string_collection{store_.keys()};
    }

    void put(const std::string& key, const std::vector<::mqtt::string_view>& pieces) override {
        if (!store_.is_publish(key)) return;
        Buffer packet;
        for (const ::mqtt::string_view piece : pieces)
            append_bytes(packet, as_bytes(std::string_view{piece.data(), piece.size()}));
        store_.put(key, packet);
    }

    [[nodiscard]] std::string get(const std::string& key) const override { return store_.get(key); }

    void remove(const std::string& key) override { store_.remove(key); }

    void forget_payloads() { store_.forget_payloads(); }

private:
    InboundStore store_;
};

// Paho's names of the schemes.
std::string paho_url(std::string_view url) {
    const bool is_tls = url.starts_with("mqtts://");
    return (is_tls ? "ssl://" : "tcp://") + std::string{url.substr(url.find("//") + 2)};
}

void append_properties(Buffer& out, const ::mqtt::properties& properties) {
    const MQTTProperties& all = properties.c_struct();
    const auto text_of = [](const MQTTLenString& text) {
        return std::string_view{text.data, static_cast<std::size_t>(text.len)};
    };
    for (int i = 0; i < all.count; ++i) {
        const MQTTProperty& property = all.array[i];
        const auto id = static_cast<mqtt::PropertyId>(property.identifier);
        using enum mqtt::PropertyId;
        if (id == message_expiry_interval) {
            mqtt::append_number_property(out, id, property.value.integer4);
        } else if (id == content_type || id == response_topic || id == correlation_data) {
            mqtt::append_text_property(out, id, text_of(property.value.data));
        } else if (id == user_property) {
            const auto name = text_of(property.value.data);
            mqtt::append_user_property(out, name, text_of(property.value.value));
        }  // the others are of no use to a record
    }
}

// The packet as it was, so that it is checked like those of `put`.
Buffer packet_of(const ::mqtt::message& message, mqtt::ProtocolLevel level) {
    Buffer properties;
    if (level == mqtt::ProtocolLevel::v5) append_properties(properties, message.get_properties());
    mqtt::Publish publish;
    publish.topic = message.get_topic();
    publish.payload = as_bytes(std::string_view{message.get_payload()});
    publish.properties = properties;
    publish.ticket.packet_id = 1;  // Paho does not tell, and nobody asks
    publish.qos = static_cast<mqtt::Qos>(message.get_qos());
    publish.retain = message.is_retained();
    publish.dup = message.is_duplicate();
    Buffer packet;
    mqtt::encode_publish(packet, level, publish);
    return packet;
}

}  // namespace

class PahoSubscriber::Impl {
public:
    Impl(Options options, Events events)
        : options_(std::move(options))
        , events_(std::move(events))
        , level_(
              options_.version == Version::v5 ? mqtt::ProtocolLevel::v5
                                              : mqtt::ProtocolLevel::v3_1_1
          )
        , persistence_(InboundStore{
              level_,
              options_.unreleased_bytes_max,
              {[this](Bytes packet) { events_.packet(packet, level_); },
               [this](mqtt::PacketId id) { events_.release(id); },
               [this] { return events_.unreleased(); },
               [this] {
                   set(is_over_limit_);
               }}})
        , backoff_(options_.reconnect_min, options_.reconnect_max, options_.seed) {}

    ~Impl() {
        if (thread_.joinable()) thread_.join();
    }

    void start() {
        thread_ = std::thread{[this] {
            run();
        }};
    }

    void request_stop() { set(is_stopping_); }

private:
    void run() {
        while (!is_stopping()) {
            std::string why;
            try {
                why = connect_and_stay();
            } catch (const ::mqtt::exception& failure) {
                why = connect_failure(failure.get_return_code(), failure.to_string());
            }
            if (is_stopping()) break;
            if (const std::string tls = take_tls_text(); !tls.empty()) why += ": " + tls;
            events_.down(why);
            wait_for(backoff_.next());
        }
        close();
        client_.reset();
        events_.stopped();
    }

    // Returns why it is over; empty when it is stopped.
    std::string connect_and_stay() {
        if (!client_) make_client();
        // What Paho has connected after it had said that it could not.
        if (close()) hold(in_doubt(events_.filters()));
        set_lost({}, false);
        if (!connect()) return {};
        if (auto refused = subscribe()) {
            close();
            return *refused;
        }
        if (is_stopping()) return {};
        backoff_.reset();
        events_.up();
        return stay();
    }

    // Notes what the broker's session holds. From CONNECT until its answer is noted nobody knows:
    // the broker may make a new session, and the answer, or this process, be lost. The next CONNACK
    // would tell of a session, and nothing be subscribed to. False: it is stopped meanwhile.
    bool connect() {
        const Filters held = events_.filters();
        hold(in_doubt(held));
        try {
            const auto connected = client_->connect(connect_options());
            if (!wait_until_done(*connected)) return false;
            const bool is_known = connected->get_connect_response().is_session_present();
            hold(is_known ? held : Filters{});
            return true;
        } catch (const ::mqtt::exception& failure) {
            if (is_without_session(failure.get_return_code(), failure.get_message())) hold(held);
            throw;
        }
    }

    void hold(const Filters& filters) {
        if (filters != events_.filters()) events_.hold(filters);
    }

    std::string stay() {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [this] { return is_stopping_ || is_lost_ || is_over_limit_; });
        if (is_stopping_) return {};
        if (!std::exchange(is_over_limit_, false)) {
            return "the connection was lost" + (lost_.empty() ? "" : ": " + lost_);
        }
        lock.unlock();
        // Paho keeps the payloads of what waits for its PUBREL as long as its client lives.
        close();
        client_.reset();
        persistence_.forget_payloads();
        return "the broker leaves more QoS 2 publishes without PUBREL than unreleased_bytes_max";
    }

    void make_client() {
        const bool is_v5 = options_.version == Version::v5;
        client_.emplace(
            paho_url(options_.url),
            options_.client_id,
            ::mqtt::create_options{is_v5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1},
            &persistence_
        );
        client_->set_connection_lost_handler([this](const std::string& cause) {
            set_lost(cause, true);
        });
        client_->set_disconnected_handler(
            [this](const ::mqtt::properties&, ::mqtt::ReasonCode reason) {
                set_lost("the broker says " + std::to_string(static_cast<int>(reason)), true);
            }
        );
        client_->set_message_callback([this](const ::mqtt::const_message_ptr& message) {
            if (message->get_qos() == 2) return;  // put() had it
            events_.packet(packet_of(*message, level_), level_);
        });
    }

    ::mqtt::connect_options connect_options() {
        ::mqtt::connect_options options;
        const bool is_v5 = options_.version == Version::v5;
        options.set_mqtt_version(is_v5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1);
        options.set_keep_alive_interval(options_.keep_alive);
        options.set_connect_timeout(options_.connect_timeout);
        if (is_v5) {
            options.set_clean_start(false);
            ::mqtt::properties properties;
            properties.add(
                {::mqtt::property::SESSION_EXPIRY_INTERVAL,
                 static_cast<std::int32_t>(options_.session_expiry.count())}
            );
            properties.add({::mqtt::property::RECEIVE_MAXIMUM, options_.in_flight_max});
            properties.add(
                {::mqtt::property::MAXIMUM_PACKET_SIZE,
                 static_cast<std::int32_t>(options_.packet_bytes_max)}
            );
            options.set_properties(properties);
        } else {
            options.set_clean_session(false);
        }
        if (!options_.user.empty()) options.set_user_name(options_.user);
        if (!options_.password.empty()) options.set_password(options_.password);
        if (options_.url.starts_with("mqtts")) options.set_ssl(ssl_options());
        return options;
    }

    ::mqtt::ssl_options ssl_options() {
        ::mqtt::ssl_options options;
        if (!options_.ca_file.empty()) options.set_trust_store(options_.ca_file);
        if (!options_.certificate_file.empty()) options.set_key_store(options_.certificate_file);
        if (!options_.key_file.empty()) options.set_private_key(options_.key_file);
        options.set_enable_server_cert_auth(true);
        options.set_verify(true);
        options.set_error_handler([this](const std::string& line) {
            const std::lock_guard lock{mutex_};
            tls_text_ = first_line(line, tls_text_bytes_max);
        });
        return options;
    }

    // What the broker's session does not have yet; takes away what is not wanted any more. Gives
    // why nothing was subscribed to.
    std::optional<std::string> subscribe() {
        const Filters held = events_.filters();
        Filters holds;
        std::string problem;
        for (const auto& [filter, qos] : held) {
            if (is_wanted(filter) && qos == options_.qos) {
                holds.emplace(filter, qos);
            } else if (!is_wanted(filter)) {
                if (!wait_until_done(*client_->unsubscribe(filter))) return "stopped";
            }
        }
        for (const auto& filter : options_.filters) {
            if (holds.contains(filter)) continue;
            std::string why = subscribe_to(filter);
            if (is_stopping()) return "stopped";
            if (why.empty()) {
                holds.emplace(filter, options_.qos);
            } else {
                problem = std::move(why);
            }
        }
        hold(holds);
        if (holds.empty()) return problem;
        if (!problem.empty()) events_.trouble(problem);
        return std::nullopt;
    }

    // Gives why not; empty when it is granted.
    std::string subscribe_to(const std::string& filter) {
        const auto refused = [&](const std::string& why) {
            return "the broker refuses filter `" + filter + "`: " + why;
        };
        try {
            // Of 5.0: no retained messages for what the broker holds already. 3.1.1 cannot say so.
            const ::mqtt::subscribe_options only_new{
                ::mqtt::subscribe_options::SUBSCRIBE_LOCAL,
                ::mqtt::subscribe_options::NO_RETAIN_AS_PUBLISHED,
                ::mqtt::subscribe_options::SEND_RETAINED_ON_NEW};
            const auto token = client_->subscribe(filter, options_.qos, only_new);
            if (!wait_until_done(*token)) return {};
            const auto codes = token->get_subscribe_response().get_reason_codes();
            const int granted = codes.empty() ? options_.qos : static_cast<int>(codes.front());
            if (granted >= failure_code_min) return refused(std::to_string(granted));
            if (granted < options_.qos) {
                events_.trouble(
                    "filter `" + filter + "` is granted with QoS " + std::to_string(granted)
                );
            }
            return {};
        } catch (const ::mqtt::exception& failure) {
            if (!client_->is_connected()) throw;
            return refused(failure.to_string());
        }
    }

    [[nodiscard]] bool is_wanted(const std::string& filter) const {
        for (const auto& wanted : options_.filters)
            if (wanted == filter) return true;
        return false;
    }

    // False: it is stopped meanwhile. Throws when the token failed.
    bool wait_until_done(::mqtt::token& token) {
        while (!token.wait_for(stop_look)) {
            if (is_stopping()) return false;
            const std::lock_guard lock{mutex_};
            if (is_lost_) throw ::mqtt::exception{MQTTASYNC_DISCONNECTED, "disconnected"};
        }
        return true;
    }

    // Whether there was a connection.
    bool close() {
        if (!client_ || !client_->is_connected()) return false;
        try {
            static_cast<void>(client_->disconnect(disconnect_max)->wait_for(2 * disconnect_max));
        } catch (const ::mqtt::exception&) {  // it was lost meanwhile
        }
        return true;
    }

    void set_lost(const std::string& why, bool is_lost) {
        const std::lock_guard lock{mutex_};
        if (!is_lost || lost_.empty()) lost_ = why;
        is_lost_ = is_lost;
        changed_.notify_all();
    }

    void set(bool& flag) {
        const std::lock_guard lock{mutex_};
        flag = true;
        changed_.notify_all();
    }

    [[nodiscard]] bool is_stopping() {
        const std::lock_guard lock{mutex_};
        return is_stopping_;
    }

    void wait_for(Duration how_long) {
        std::unique_lock lock{mutex_};
        changed_.wait_for(lock, how_long, [this] { return is_stopping_; });
    }

    std::string take_tls_text() {
        const std::lock_guard lock{mutex_};
        return std::exchange(tls_text_, {});
    }

    Options options_;
    Events events_;
    mqtt::ProtocolLevel level_;
    Persistence persistence_;  // outlives the client
    std::optional<::mqtt::async_client> client_;
    forward::Backoff backoff_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::string lost_;
    std::string tls_text_;
    bool is_lost_ = false;
    bool is_stopping_ = false;
    bool is_over_limit_ = false;
    std::thread thread_;
};

PahoSubscriber::PahoSubscriber(Options options, Events events)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(events))) {}

PahoSubscriber::~PahoSubscriber() = default;

void PahoSubscriber::start() {
    impl_->start();
}

void PahoSubscriber::request_stop() {
    impl_->request_stop();
}

}  // namespace milepost::bridge
