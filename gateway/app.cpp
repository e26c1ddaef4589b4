#include "gateway/app.hpp"

#include "gateway/access_files.hpp"
#include "gateway/app_impl.hpp"
#include "gateway/logging.hpp"
#include "gateway/recovery_lines.hpp"
#include "gateway/upstream/client_settings.hpp"
#include "gateway/version.hpp"
#include "gateway/wiring.hpp"
#include "storage/base/this_thread.hpp"
#include "storage/base/time.hpp"
#include "storage/meta/schema.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>

namespace milepost {

namespace {

namespace asio = boost::asio;

// Of the 10 s that a stop may take; the rest is for the last checkpoint.
constexpr auto flush_max = std::chrono::seconds{3};

logging::Level level_of(int syslog_level) {
    return static_cast<logging::Level>(
        std::clamp(syslog_level, static_cast<int>(logging::Level::error), 7)
    );
}

}  // namespace

ExitStatus App::Impl::run() {
    if (const auto failed = open_storage()) return *failed;
    if (const auto failed = open_doors()) return *failed;
    if (const auto failed = start_forwarding()) return *failed;
    if (const auto failed = start_admin()) return *failed;
    watch_signals();
    notify_ = ServiceNotify::from_environment(
        {[this](auto task) { asio::post(io_, std::move(task)); },
         [this] {
             return service_facts(*log_, monotonic_now());
         }}
    );
    listener_->start();
    bridges_->start();
    logging::notice(
        "serving MQTT on {}, HTTP on {}:{}",
        endpoints_text(),
        config_.admin.address,
        admin_->port()
    );
    if (notify_) notify_->ready();
    serve();
    return stop();
}

void App::Impl::serve() {
    this_thread::Foreground foreground{config_.log.real_time};
    if (config_.log.real_time && !foreground.is_real_time()) {
        logging::warning(
            "--real-time is not permitted (LimitRTPRIO=1 in the unit): acks may wait for a core"
        );
    }
    while (io_.run_one() > 0)
        foreground.look(monotonic_now());
}

std::optional<ExitStatus> App::Impl::start_forwarding() {
    if (!config_.upstream) return std::nullopt;
    if (waits_for_adoption_) {
        logging::error("{}", adoption_alarm);
        return std::nullopt;
    }
    auto meta = storage::open_meta(config_.log.data_dir);
    if (!meta) {
        logging::error("cannot open meta.db: {}", meta.error().message());
        return ExitStatus::disk;
    }
    if (const auto warning =
            upstream::library_warning(config_.upstream->librdkafka, upstream::library_version())) {
        logging::warning("{}", *warning);
    }
    auto forwarder = forward::Forwarder::start(
        forward_settings(config_),
        *log_,
        std::move(*meta),
        delivery(config_),
        forward::Forwarder::Writing{
            [this](auto task) { asio::post(io_, std::move(task)); },
            [this](const storage::Gap& gap) {
                keeper_->know(gap);
            }},
        [](int level, std::string_view text) {
            logging::limited(level_of(level), text, "upstream: {}", text);
        }
    );
    if (!forwarder) {
        logging::error("cannot start forwarding: {}", forwarder.error().message());
        return ExitStatus::disk;
    }
    forwarder_ = std::move(*forwarder);
    return std::nullopt;
}

std::optional<ExitStatus> App::Impl::start_admin() {
    admin::Sources sources{*log_, std::string{version}, config_.gateway_id, monotonic_now()};
    sources.ack_latency_micros = &listener_->stats().ack_latency_micros;
    sources.mqtt = [this] {
        return mqtt_status_now();
    };
    if (!bridges_->empty()) {
        sources.bridges = [this] {
            return bridges_->status();
        };
    }
    sources.gaps = [this] {
        return keeper_->known_gaps();
    };
    sources.rejected_ever = [this] {
        std::vector<admin::NamedCount> counts;
        for (const auto& [reason, count] : keeper_->rejected())
            counts.push_back({reason, count});
        return counts;
    };
    sources.accepted_by_bridges = [this] {
        return bridges_->accepted();
    };
    sources.wear = [this] {
        return admin::WearStatus{
            .device = wear_->device(),
            .device_bytes = wear_->written_since_start().value_or(0),
            .endurance_bytes = config_.endurance_bytes};
    };
    sources.intake = [this] {
        return admin::IntakeStatus{log_->intake(), log_->intake_reason()};
    };
    if (forwarder_) {
        sources.upstream = [this] {
            return upstream_status(*config_.upstream, forwarder_->status(), forwarder_->stats());
        };
        sources.degraded = [this] {
            return forwarder_->status().degraded;
        };
    }
    if (waits_for_adoption_) {
        sources.upstream = [this] {
            return admin::UpstreamStatus{
                .bootstrap_servers = config_.upstream->bootstrap_servers,
                .state = "waiting",
                .reason = adoption_alarm};
        };
        sources.degraded = [] {
            return std::vector<std::string>{adoption_alarm};
        };
    }
    auto server =
        admin::HttpServer::open(config_.admin.address, config_.admin.port, std::move(sources));
    if (!server) {
        logging::error(
            "cannot serve HTTP on {}:{}: {}",
            config_.admin.address,
            config_.admin.port,
            server.error().message()
        );
        return ExitStatus::port_taken;
    }
    admin_ = std::move(*server);
    log_->set_durable_notice([this] {
        if (forwarder_) forwarder_->on_durable();
        admin_->on_durable();
    });
    admin_->start();
    // Nothing fails from here on: what is counted outlives the log's last checkpoint.
    keeper_->count_rejected_by([this] {
        std::vector<storage::RejectedCount> counts;
        for (const auto& [reason, count] : mqtt_status_now().rejected)
            counts.push_back({reason, count});
        return counts;
    });
    return std::nullopt;
}

admin::MqttStatus App::Impl::mqtt_status_now() const {
    auto status = mqtt_status(intake_->stats(), listener_->stats(), listener_->login_stats());
    add_intake(status, bridge_intake_->stats());
    return status;
}

void App::Impl::watch_signals() {
    signals_.emplace(io_, SIGTERM, SIGINT, SIGHUP);
    signals_->async_wait([this](ErrorCode error, int number) {
        if (!error) on_signal(number);
    });
}

void App::Impl::on_signal(int number) {
    if (number == SIGHUP) {
        reload();
        return watch_signals();
    }
    logging::notice("{}: stopping", number == SIGTERM ? "SIGTERM" : "SIGINT");
    io_.stop();
}

void App::Impl::reload() {
    auto files = read_access_files(config_.mqtt, rules_);
    for (const auto& problem : files.problems)
        logging::error("SIGHUP: {}; what was read before stays", problem);
    rules_ = std::move(files.rules);
    for (std::size_t i = 0; i < rules_.size(); ++i)
        listener_->set_rules(i, rules_[i]);
    logging::notice(
        "SIGHUP: certificates, passwords and access lists were read again; other changes of the "
        "configuration need a restart"
    );
}

ExitStatus App::Impl::stop() {
    if (notify_) notify_->stopping();
    listener_->stop_reading();
    bridges_->stop(io_);
    log_->commit();
    if (forwarder_) forwarder_->stop(flush_max);
    const auto closed = log_->close();
    // Acks of the last groups, where commits have a thread of their own.
    io_.restart();
    io_.poll();
    listener_->close_all();
    admin_.reset();
    forwarder_.reset();
    if (!closed) {
        logging::error("stopped with the disk failing: {}", closed.error().message());
        return ExitStatus::disk;
    }
    logging::notice("stopped; the segments hold everything");
    return ExitStatus::ok;
}

std::string App::Impl::endpoints_text() const {
    std::string text;
    for (const auto& listener : config_.mqtt.listeners) {
        if (!text.empty()) text += ", ";
        text += listener.address + ":" + std::to_string(listener.port);
    }
    return text;
}

App::App(Config config)
    : impl_(std::make_unique<Impl>(std::move(config))) {}

App::~App() = default;

ExitStatus App::run() {
    return impl_->run();
}

}  // namespace milepost
