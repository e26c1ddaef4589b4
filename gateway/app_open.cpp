#include "gateway/access_files.hpp"
#include "gateway/app_impl.hpp"
#include "gateway/listener/session_state.hpp"
#include "gateway/logging.hpp"
#include "gateway/machine_id.hpp"
#include "gateway/recovery_lines.hpp"
#include "gateway/upstream/client_settings.hpp"
#include "gateway/version.hpp"
#include "gateway/wiring.hpp"
#include "storage/meta/errc.hpp"
#include "storage/meta/schema.hpp"

#include <boost/asio/post.hpp>

#include <map>

#include <sys/resource.h>

namespace milepost {

namespace {

namespace asio = boost::asio;

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

}  // namespace

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
    log_is_new_ = report.created;
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
        state = listener::fold_session_state(state, delta.state);
    }
    for (const auto& [client_id, state] : states) {
        if (state.empty() || bridges_->restore(client_id, state)) continue;
        listener_->restore_session(client_id, state);
    }
    std::int64_t records = 0;
    for (const auto id : log_->partitions())
        records += log_->positions(id).durable.value();
    bridges_->check_accepted(*log_, log_is_new_, static_cast<std::uint64_t>(records));
    return std::nullopt;
}

}  // namespace milepost
