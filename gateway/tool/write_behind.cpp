#include "gateway/tool/write_behind.hpp"

#include "storage/base/bytes.hpp"
#include "storage/base/units.hpp"

#include <utility>

namespace milepost::tool {

namespace {

// A sync would otherwise wait for all that was written since the last one.
constexpr std::uint64_t write_out_bytes = 8 * mib;

}  // namespace

WriteBehind::WriteBehind(storage::File& file, std::uint64_t end)
    : file_(file)
    , end_(end)
    , written_(end)
    , told_(end)
    , thread_([this] { run(); }) {}

WriteBehind::~WriteBehind() {
    {
        const std::lock_guard lock{mutex_};
        is_ended_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

Result<void> WriteBehind::append(std::string& text) {
    {
        std::unique_lock lock{mutex_};
        MILEPOST_TRY(wait_until_idle(lock));
        end_ += text.size();
        piece_.swap(text);
        is_busy_ = true;
    }
    changed_.notify_all();
    text.clear();
    return {};
}

Result<void> WriteBehind::sync() {
    std::unique_lock lock{mutex_};
    MILEPOST_TRY(wait_until_idle(lock));
    return file_.sync();
}

Result<void> WriteBehind::wait_until_idle(std::unique_lock<std::mutex>& lock) {
    changed_.wait(lock, [this] { return !is_busy_; });
    return failed_;
}

void WriteBehind::run() {
    std::unique_lock lock{mutex_};
    while (true) {
        changed_.wait(lock, [this] { return is_busy_ || is_ended_; });
        if (!is_busy_) return;
        lock.unlock();
        auto done = write();
        lock.lock();
        if (!done) failed_ = std::move(done);
        is_busy_ = false;
        changed_.notify_all();
    }
}

Result<void> WriteBehind::write() {
    MILEPOST_TRY(file_.write_at(storage::FilePosition{written_}, as_bytes(piece_)));
    written_ += piece_.size();
    if (written_ - told_ < write_out_bytes) return {};
    file_.begin_write_out(storage::FilePosition{told_}, written_ - told_);
    told_ = written_;
    return {};
}

}  // namespace milepost::tool
