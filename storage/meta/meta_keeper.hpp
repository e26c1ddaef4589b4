#pragma once

#include "storage/base/result.hpp"
#include "storage/log/keeper.hpp"
#include "storage/meta/database.hpp"
#include "storage/meta/rejected_store.hpp"
#include "storage/meta/session_store.hpp"

#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace milepost::storage {

// What the log gives away before it frees journal frames, kept in meta.db: the checkpointer's
// connection. Thread: one at a time, see Keeper; but for what says otherwise.
class MetaKeeper final : public Keeper {
public:
    explicit MetaKeeper(Connection connection, SessionMerge merge = last_change)
        : connection_(std::move(connection))
        , merge_(merge) {}

    // For who enters gaps without opening the log: whose they are; empty: the log's that was served
    // last.
    void keep_for(std::string log_id) { log_id_ = std::move(log_id); }

    Result<void> fold(std::span<const SessionDelta> deltas) override {
        return SessionStore{connection_, merge_}.fold(deltas);
    }

    Result<void> serve(const KeptLog& log) override;
    Result<void> record(const Gap& gap) override;
    Result<std::vector<Gap>> gaps() override;
    // Saves the counts of refused readings, if there are others than were saved last. A crash loses
    // what was counted since.
    void on_checkpoint() override;

    // After the log was opened: its recovery has folded what is newer.
    Result<std::vector<SessionDelta>> sessions() { return SessionStore{connection_}.load(); }

    // Before the log is opened: what earlier processes counted.
    Result<void> load_rejected();
    // What this process counted so far; `count` is called from any thread until the log is closed.
    void count_rejected_by(std::function<std::vector<RejectedCount>()> count);

    // Refused readings of all times. Thread: any.
    [[nodiscard]] std::vector<RejectedCount> rejected() const;
    // Another connection has entered the gap; it is shown from now on. Thread: any.
    void know(const Gap& gap);
    // The ledger as it was read or written last. Thread: any.
    [[nodiscard]] std::vector<Gap> known_gaps() const;

private:
    Connection connection_;
    SessionMerge merge_;
    std::string log_id_;
    std::vector<RejectedCount> saved_;
    mutable std::mutex mutex_;  // guards what follows; no statement is run under it
    std::vector<RejectedCount> earlier_;
    std::function<std::vector<RejectedCount>()> count_;
    std::vector<Gap> known_gaps_;
    std::uint64_t known_count_ = 0;  // calls of know()
};

}  // namespace milepost::storage
