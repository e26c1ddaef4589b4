#include "gateway/app.hpp"

#include "gateway/access_files.hpp"
#include "gateway/admin/http_server.hpp"
#include "gateway/admin/sources.hpp"
#include "gateway/bridges.hpp"
#include "gateway/disk_wear.hpp"
#include "gateway/forward/forwarder.hpp"
#include "gateway/front_door.hpp"
#include "gateway/ingest/intake.hpp"
#include "gateway/listener/listener.hpp"
#include "gateway/listener/session_state.hpp"
#include "gateway/logging.hpp"
#include "gateway/machine_id.hpp"
#include "gateway/recovery_lines.hpp"
#include "gateway/service_notify.hpp"
#include "gateway/upstream/client_settings.hpp"
#include "gateway/version.hpp"
#include "gateway/wiring.hpp"
#include "storage/base/this_thread.hpp"
#include "storage/fs/posix_file_system.hpp"
#include "storage/log/log.hpp"
#include "storage/meta/errc.hpp"
#include "storage/meta/meta_keeper.hpp"
#include "storage/meta/schema.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>

#include <algorithm>
#include <csignal>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sys/resource.h>

namespace milepost {

namespace {

namespace asio = boost::asio;

// Of the 10 s that a stop may take; the rest is for the last checkpoint.
constexpr auto flush_max = std::chrono::seconds{3};
// Descriptors that are not client sockets: log, segments, SQLite, librdkafka, HTTP.
constexpr std::size_t other_descriptors = 256;
constexpr std::size_t gateway_id_digits = 8;

// Raises the soft limit of open files; returns how many client connections it leaves room for.
std::size_t raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return other_descriptors;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const std::size_t files = limit.rlim_cur;
    return files > 2 * other_descriptors ? files - other_descriptors : files / 2;
}

logging::Level level_of(int syslog_level) {
    return static_cast<logging::Level>(
        std::clamp(syslog_level, static_cast<int>(logging::Level::error), 7)
    );
}

}  // namespace

class App::Impl {
public:
    explicit Impl(Config config)
        : config_(std::move(config))
        , door_(io_, ClockSync{config_.time_require_sync}, config_.log.commit_interval_min)
        , files_(
              config_.log.sync == storage::SyncMethod::dsync ? storage::DurableWrite::dsync
                                                             : storage::DurableWrite::fdatasync
          ) {}

    ExitStatus run() {
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
        // After the other threads have begun: they would inherit it.
        this_thread::step_forward();
        io_.run();
        return stop();
    }

private:
    std::optional<ExitStatus> open_storage();
    std::optional<ExitStatus> open_meta_database();
    void report(const storage::RecoveryReport& report);
    std::optional<ExitStatus> open_doors();
    std::optional<ExitStatus> open_bridges(const std::vector<ingest::BoundRoute>& routes);
    std::optional<ExitStatus> restore_sessions();
    [[nodiscard]] admin::MqttStatus mqtt_status_now() const;
    Result<std::vector<ingest::BoundRoute>> bind_routes();
    std::optional<ExitStatus> start_forwarding();
    std::optional<ExitStatus> start_admin();
    void watch_signals();
    void on_signal(int number);
    void reload();
    ExitStatus stop();
    [[nodiscard]] std::string endpoints_text() const;

    Config config_;
    asio::io_context io_{1};
    FrontDoor door_;
    std::optional<asio::signal_set> signals_;
    storage::PosixFileSystem files_;
    std::optional<DiskWear> wear_;
    std::unique_ptr<storage::MetaKeeper> keeper_;
    std::unique_ptr<storage::Log> log_;
    std::unique_ptr<ingest::Intake> intake_;
    std::vector<listener::EndpointRules> rules_;  // as the files said last
    std::unique_ptr<listener::Listener> listener_;
    std::unique_ptr<ingest::Intake> bridge_intake_;  // with counters of its own
    std::unique_ptr<Bridges> bridges_;
    std::unique_ptr<forward::Forwarder> forwarder_;
    std::unique_ptr<admin::HttpServer> admin_;
    std::unique_ptr<ServiceNotify> notify_;  // where a service manager listens
    bool waits_for_adoption_ = false;
    std::vector<storage::SessionDelta> unsaved_sessions_;  // the disk took none at this start
};

std::optional<ExitStatus> App::Impl::open_meta_database() {
    auto meta = storage::open_meta(config_.log.data_dir);
    if (!meta && meta.error() == storage::MetaErrc::corrupt) {
        // Always starts: what SQLite held is rebuilt or begins anew, and said.
        const auto aside = storage::set_meta_aside(config_.log.data_dir);
        logging::error(
            "meta.db is damaged and was put aside{}; forwarding begins at start",
            aside ? " as " + aside->filename().string() : std::string{}
        );
        meta = storage::open_meta(config_.log.data_dir);
    }
    if (!meta) {
        logging::error("cannot open meta.db: {}", meta.error().message());
        return ExitStatus::disk;
    }
    keeper_ =
        std::make_unique<storage::MetaKeeper>(std::move(*meta), listener::merge_session_states);
    if (const auto loaded = keeper_->load_rejected(); !loaded) {
        logging::error("cannot read meta.db: {}", loaded.error().message());
        return ExitStatus::disk;
    }
    return std::nullopt;
}

std::optional<ExitStatus> App::Impl::open_storage() {
    if (const auto made = files_.make_directory(config_.log.data_dir); !made) {
        logging::error("cannot make {}: {}", config_.log.data_dir.string(), made.error().message());
        return ExitStatus::disk;
    }
    if (const auto failed = open_meta_database()) return failed;
    wear_.emplace(config_.log.data_dir);
    if (const auto space = files_.space(config_.log.data_dir); space && space->is_copy_on_write) {
        logging::warning(
            "{} is on a copy-on-write file system: the pre-written journal saves nothing there",
            config_.log.data_dir.string()
        );
    }
    config_.log.forwards = config_.upstream.has_value();
    storage::RecoveryReport report;
    config_.log.machine_id_hash = machine_id_hash();
    auto log = storage::Log::open(
        config_.log,
        {files_,
         *keeper_,
         door_,
         [this](auto task) {
             asio::post(io_, std::move(task));
         }},
        report
    );
    if (!log && log.error() == boost::system::errc::read_only_file_system) {
        // Serves and forwards what is there. To take readings in again it is started again.
        logging::error("the disk is read-only: no readings are taken in");
        log = storage::Log::open_read_only(config_.log.data_dir, files_, report);
    }
    if (!log) {
        for (const auto& note : report.notes)
            logging::error("{}", note);
        logging::error(
            "cannot open the log in {}: {}",
            config_.log.data_dir.string(),
            log.error().message()
        );
        return ExitStatus::disk;
    }
    log_ = std::move(*log);
    waits_for_adoption_ = report.is_from_elsewhere && config_.upstream;
    if (config_.gateway_id.empty()) {
        config_.gateway_id = "mp-" + std::string{log_->log_id().substr(0, gateway_id_digits)};
    }
    this->report(report);
    return std::nullopt;
}

void App::Impl::report(const storage::RecoveryReport& report) {
    log_recovery(report, config_.gateway_id, config_.log.data_dir);
    if (!report.sessions_folded) unsaved_sessions_ = report.sessions;
}

Result<std::vector<ingest::BoundRoute>> App::Impl::bind_routes() {
    std::vector<ingest::BoundRoute> bound;
    for (const auto& spec : config_.routes) {
        auto route = ingest::Route::compile(spec);
        auto* compiled = std::get_if<ingest::Route>(&route);
        if (compiled == nullptr) return ErrorCode{EINVAL, boost::system::generic_category()};
        auto partitions = log_->ensure_topic(spec.topic, spec.partitions);
        if (!partitions) return partitions.error();
        if (partitions->size() != static_cast<std::size_t>(spec.partitions)) {
            logging::warning(
                "topic {} was made with {} partitions and keeps them; the configuration says {}",
                spec.topic,
                partitions->size(),
                spec.partitions
            );
        }
        bound.push_back(ingest::BoundRoute{std::move(*compiled), std::move(*partitions)});
    }
    return bound;
}

std::optional<ExitStatus> App::Impl::open_doors() {
    auto routes = bind_routes();
    if (!routes) {
        logging::error("cannot make the topics: {}", routes.error().message());
        return ExitStatus::disk;
    }
    if (const auto failed = open_bridges(*routes)) return failed;
    intake_ = std::make_unique<ingest::Intake>(
        *log_,
        std::move(*routes),
        ingest::Intake::Limits{config_.mqtt.topic_bytes_max, log_->config().group_bytes}
    );

    listener::Options options = listener_options(config_.mqtt, log_->config());
    const std::size_t room = raise_descriptor_limit();
    if (options.connections_max > room) {
        logging::warning(
            "mqtt.max_connections is {}, the limit of open files allows {}",
            options.connections_max,
            room
        );
        options.connections_max = room;
    }
    auto files = read_access_files(config_.mqtt, {});
    if (!files.problems.empty()) {
        for (const auto& problem : files.problems)
            logging::error("{}", problem);
        return ExitStatus::configuration;
    }
    rules_ = std::move(files.rules);
    for (std::size_t i = 0; i < rules_.size(); ++i)
        options.endpoints[i].rules = rules_[i];
    auto listener = listener::Listener::open(io_, std::move(options), door_);
    if (!listener) {
        logging::error("cannot listen on {}: {}", endpoints_text(), listener.error().message());
        return ExitStatus::port_taken;
    }
    listener_ = std::move(*listener);
    if (const auto failed = restore_sessions()) return failed;
    door_.attach(*log_, *intake_, *listener_);
    if (!bridges_->empty()) door_.attach_bridges(*bridges_, *bridge_intake_);
    return std::nullopt;
}

std::optional<ExitStatus> App::Impl::open_bridges(const std::vector<ingest::BoundRoute>& routes) {
    bridge_intake_ = std::make_unique<ingest::Intake>(
        *log_,
        routes,
        ingest::Intake::Limits{config_.mqtt.topic_bytes_max, log_->config().group_bytes}
    );
    std::vector<std::string> problems;
    bridges_ = std::make_unique<Bridges>(
        config_,
        bridge::LogSide::Wiring{
            *log_,
            *bridge_intake_,
            [this](auto task) { asio::post(io_, std::move(task)); },
            [this] { door_.on_turn(wall_now()); },
            [this] { door_.on_turn_end(); },
            [](std::string_view kind, std::string_view text) {
                const bool is_good = kind.ends_with(" up");
                const auto level = is_good ? logging::Level::notice : logging::Level::warning;
                logging::limited(level, kind, "{}", text);
            }},
        problems
    );
    for (const auto& problem : problems)
        logging::error("{}", problem);
    if (!problems.empty()) return ExitStatus::configuration;
    return std::nullopt;
}

std::optional<ExitStatus> App::Impl::restore_sessions() {
    // The log's recovery has folded into it what the journal had of them, if the disk took it.
    const auto sessions = keeper_->sessions();
    if (!sessions) {
        logging::error("cannot read meta.db: {}", sessions.error().message());
        return ExitStatus::disk;
    }
    std::map<std::string, Buffer, std::less<>> states;
    for (const auto& [client_id, state] : *sessions)
        states.insert_or_assign(client_id, state);
    for (const auto& delta : unsaved_sessions_) {
        Buffer& state = states[delta.client_id];
        const Bytes change = delta.state;
        state = change.empty() ? Buffer{} : listener::merge_session_states(state, {&change, 1});
    }
    for (const auto& [client_id, state] : states) {
        if (state.empty() || bridges_->restore(client_id, state)) continue;
        listener_->restore_session(client_id, state);
    }
    return std::nullopt;
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
