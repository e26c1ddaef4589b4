#include "gateway/tool/mqtt_sink.hpp"

#include "gateway/tool/failure.hpp"
#include "gateway/tool/mqtt_connection.hpp"
#include "gateway/tool/publish_session.hpp"
#include "gateway/tool/stop_signal.hpp"
#include "gateway/upstream/secret_file.hpp"
#include "storage/base/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>
#include <utility>

namespace milepost::tool {

namespace {

constexpr std::string_view plain_scheme = "mqtt://";
constexpr std::string_view tls_scheme = "mqtts://";
constexpr Duration connect_wait = std::chrono::seconds{10};  // transport, and CONNACK
// Without a connection, or with ones that are lost before anything is acknowledged.
constexpr Duration lost_max = std::chrono::seconds{60};
constexpr Duration lost_told_pause = std::chrono::seconds{10};
constexpr Duration retry_min = std::chrono::milliseconds{100};
constexpr Duration retry_max = std::chrono::seconds{5};
constexpr Duration silence_notice = std::chrono::seconds{30};  // without an acknowledgement
constexpr Duration stop_wait = std::chrono::seconds{2};
constexpr Duration leave_wait = std::chrono::seconds{1};
constexpr std::size_t send_bytes = 16 * kib;  // are sent together, where there is no wait

// 5.0: or less, the broker says. 3.1.1 cannot say it, and Mosquitto closes the connection of a
// client that has more QoS 2 publishes on their way.
constexpr std::size_t window_v5 = 256;
constexpr std::size_t window_v311 = 20;

TransportOptions transport_of(const std::string& url, const MqttOptions& options) {
    const bool is_tls = url.starts_with(tls_scheme);
    const auto scheme = is_tls ? tls_scheme : plain_scheme;
    std::string problem;
    auto address = parse_host_port(
        std::string_view{url}.substr(scheme.size()),
        is_tls ? "8883" : "1883",
        problem
    );
    if (!address) throw Failure{exit_usage, fmt::format("--to {}: {}", url, problem)};
    return {
        .address = std::move(*address),
        .is_tls = is_tls,
        .ca_file = options.ca_file,
        .certificate_file = options.certificate_file,
        .key_file = options.key_file};
}

PublishSession::Options session_of(const MqttOptions& options, const std::string& job) {
    PublishSession::Options session{
        .level = options.level,
        .qos = options.qos,
        .in_flight_max = options.window.value_or(
            options.level == mqtt::ProtocolLevel::v5 ? window_v5 : window_v311
        ),
        // Every broker takes up to 23 letters and digits (MQTT-3.1.3-5).
        .client_id = "mpr" + job,
        .user = options.user,
        .password = options.password};
    if (options.password_file.empty()) return session;
    if (const auto problem = upstream::read_secret(options.password_file, session.password)) {
        throw Failure{exit_usage, *problem};
    }
    return session;
}

class MqttSink final : public ReplaySink {
public:
    MqttSink(
        const std::string& url,
        const MqttOptions& options,
        PublishJournal journal,
        const std::string& job
    )
        : url_(url)
        , level_(options.level)
        , messages_(options.level, options.topics)
        , journal_(std::move(journal))
        , session_(session_of(options, job), journal_.progress())
        , connection_(transport_of(url, options)) {
        if (const auto problem = connect(false)) give_up(*problem);
        last_progress_ = monotonic_now();
    }

    [[nodiscard]] std::uint64_t taken_before() const override { return session_.next(); }

    void put(const ReplayRecord& record) override {
        while (!session_.has_room()) {
            turn(wait_slice);
            look_at_waiting();
        }
        std::string why;
        if (auto publish = messages_.make(record, why)) {
            publish->retain = publish->retain && session_.limits().is_retain_served;
            session_.put(*publish, out_);
        } else {
            session_.refuse(why, out_);
        }
        if (out_.size() >= send_bytes) turn(Duration{0});
    }

    void wait_until(Instant due) override {
        while (true) {
            const auto left = due - monotonic_now();
            turn(std::clamp<Duration>(left, Duration{0}, wait_slice));
            if (left <= Duration{0}) return;
        }
    }

    std::uint64_t settle() override {
        while (!session_.is_idle()) {
            turn(wait_slice);
            look_at_waiting();
        }
        hand_over();
        journal_.sync();
        return 0;
    }

    void finish() override {
        leave(true);
        if (level_ != mqtt::ProtocolLevel::v5) {
            // 3.1.1 has a session forgotten by a connection that wants a clean one.
            if (!connect(true)) leave(true);
        }
        journal_.remove();
    }

    [[nodiscard]] bool has_refusals() const override { return session_.progress().refused > 0; }

    [[nodiscard]] std::string remark() const override {
        std::string text;
        const auto add = [&text](const std::string& sentence) {
            text += (text.empty() ? "" : "; ") + sentence;
        };
        const auto& progress = session_.progress();
        if (progress.again > 0) {
            add(fmt::format(
                "{} publishes were sent again that may have arrived before",
                progress.again
            ));
        }
        if (progress.refused > 0) {
            const auto& first = session_.refusal();
            add(fmt::format(
                "{} records were refused{}",
                progress.refused,
                first.empty() ? "" : ", such as " + first
            ));
        }
        if (messages_.headers_left_out() > 0) {
            add(fmt::format(
                "{} headers were left out: MQTT has no place for them",
                messages_.headers_left_out()
            ));
        }
        return text;
    }

private:
    [[noreturn]] void give_up(const std::string& problem) const {
        const auto code = session_.is_hopeless() ? exit_run_time : exit_unavailable;
        throw Failure{code, fmt::format("{}: {}", url_, problem)};
    }

    // Gives why not.
    std::optional<std::string> connect(bool is_clean) {
        const Instant end = monotonic_now() + connect_wait;
        if (auto problem = connection_.open(connect_wait)) return problem;
        out_.clear();
        session_.begin(out_, is_clean);
        last_sent_ = last_received_ = monotonic_now();
        while (!session_.is_connected()) {
            if (auto problem = exchange(wait_slice)) return problem;
            if (monotonic_now() >= end) {
                connection_.close();
                return "the broker does not answer CONNECT";
            }
        }
        return std::nullopt;
    }

    // What is to be sent goes on its way, its journal first.
    void hand_over() {
        journal_.write(session_.progress());
        if (out_.empty()) return;
        connection_.send(out_);
        last_sent_ = monotonic_now();
    }

    // One turn of an open connection; closed where it gives a problem.
    std::optional<std::string> exchange(Duration wait_max) {
        hand_over();
        std::optional<std::string> wrong;
        auto problem = connection_.turn(wait_max, [&](Bytes bytes) {
            wrong = session_.receive(bytes, out_);
            last_received_ = monotonic_now();
        });
        if (wrong) problem = std::move(wrong);
        if (!problem) problem = keep_alive();
        if (problem) {
            connection_.close();
            session_.end();
            out_.clear();
            return problem;
        }
        hand_over();
        return std::nullopt;
    }

    std::optional<std::string> keep_alive() {
        constexpr std::uint16_t wanted_s = 30;
        const auto limit = session_.limits().keep_alive_s;
        const std::chrono::seconds every{limit == 0 ? wanted_s : limit};
        const auto now = monotonic_now();
        if (now - last_sent_ >= every / 2 && session_.is_connected()) session_.ping(out_);
        if (now - last_received_ < every + every / 2) return std::nullopt;
        // It may be us who did not look: what came meanwhile is read first.
        if (now - last_turn_ > every / 2) return std::nullopt;
        return "the broker is silent";
    }

    void turn(Duration wait_max) {
        const auto before = session_.progress().completed;
        if (connection_.is_open()) {
            if (const auto problem = exchange(wait_max)) lost(*problem);
        } else {
            connect_again(wait_max);
        }
        last_turn_ = monotonic_now();
        if (session_.progress().completed != before || session_.is_idle()) {
            last_progress_ = last_turn_;
            is_silence_told_ = false;
            if (connection_.is_open()) lost_since_.reset();
        }
    }

    void lost(const std::string& problem) {
        if (session_.is_hopeless()) give_up(problem);
        const auto now = monotonic_now();
        if (!lost_since_) {
            lost_since_ = now;
            retry_ = retry_min;
        }
        if (!lost_told_ || now - *lost_told_ >= lost_told_pause) {
            lost_told_ = now;
            fmt::print(stderr, "milepost: {}: {}; connects again\n", url_, problem);
        }
        if (now - *lost_since_ >= lost_max) give_up(problem);
        next_try_ = now + retry_;
        retry_ = std::min(2 * retry_, retry_max);
    }

    void connect_again(Duration wait_max) {
        const auto now = monotonic_now();
        if (now < next_try_) {
            std::this_thread::sleep_for(std::min(wait_max, next_try_ - now));
            return;
        }
        if (const auto problem = connect(false)) lost(*problem);
    }

    // While nothing can be put: an acknowledgement may take as long as it wants, a gateway with a
    // full disk gives none. But whoever waits wants to know.
    void look_at_waiting() {
        const auto waited = monotonic_now() - last_progress_;
        if (is_stop_asked() && waited >= stop_wait) {
            throw Failure{
                exit_run_time,
                "stopped while publishes wait to be acknowledged; the same command goes on"};
        }
        if (waited < silence_notice || is_silence_told_) return;
        is_silence_told_ = true;
        fmt::print(stderr, "milepost: {}: acknowledges nothing for 30 s; waiting\n", url_);
    }

    void leave(bool is_over) {
        if (!connection_.is_open()) return;
        out_.clear();
        session_.leave(out_, is_over);
        connection_.send(out_);
        const Instant end = monotonic_now() + leave_wait;
        // Until the broker closes.
        while (connection_.is_open() && monotonic_now() < end)
            if (connection_.turn(wait_slice, [](Bytes) {})) break;
        connection_.close();
        session_.end();
    }

    std::string url_;
    mqtt::ProtocolLevel level_;
    MqttMessages messages_;
    PublishJournal journal_;
    PublishSession session_;
    MqttConnection connection_;
    Buffer out_;
    Instant last_sent_{};
    Instant last_received_{};
    Instant last_turn_{};
    Instant last_progress_{};
    bool is_silence_told_ = false;
    std::optional<Instant> lost_since_;
    std::optional<Instant> lost_told_;
    Instant next_try_{};
    Duration retry_ = retry_min;
};

}  // namespace

bool is_mqtt_url(std::string_view url) {
    return url.starts_with(plain_scheme) || url.starts_with(tls_scheme);
}

std::unique_ptr<ReplaySink> open_mqtt_sink(
    const std::string& url,
    const MqttOptions& options,
    const std::filesystem::path& journal,
    const std::string& job,
    bool is_resumed,
    std::uint64_t count
) {
    auto kept = journal.empty() ? PublishJournal{}
                                : PublishJournal{journal, job, is_resumed, count};
    return std::make_unique<MqttSink>(url, options, std::move(kept), job);
}

}  // namespace milepost::tool
