// What App is made of, for its two sources: app_open.cpp opens what readings pass through, app.cpp
// starts what takes them on, serves and stops. Members are destroyed in reverse of the flow.
#pragma once

#include "gateway/admin/http_server.hpp"
#include "gateway/admin/sources.hpp"
#include "gateway/app.hpp"
#include "gateway/bridges.hpp"
#include "gateway/disk_wear.hpp"
#include "gateway/forward/forwarder.hpp"
#include "gateway/front_door.hpp"
#include "gateway/ingest/intake.hpp"
#include "gateway/listener/listener.hpp"
#include "gateway/service_notify.hpp"
#include "storage/fs/posix_file_system.hpp"
#include "storage/log/log.hpp"
#include "storage/meta/meta_keeper.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace milepost {

class App::Impl {
public:
    explicit Impl(Config config)
        : config_(std::move(config))
        , door_(io_, ClockSync{config_.time_require_sync}, config_.log.commit_interval_min)
        , files_(
              config_.log.sync == storage::SyncMethod::dsync ? storage::DurableWrite::dsync
                                                             : storage::DurableWrite::fdatasync
          ) {}

    ExitStatus run();

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
    void serve();
    void watch_signals();
    void on_signal(int number);
    void reload();
    ExitStatus stop();
    [[nodiscard]] std::string endpoints_text() const;

    Config config_;
    boost::asio::io_context io_{1};
    FrontDoor door_;
    std::optional<boost::asio::signal_set> signals_;
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
    bool log_is_new_ = false;
    std::vector<storage::SessionDelta> unsaved_sessions_;  // the disk took none at this start
};

}  // namespace milepost
