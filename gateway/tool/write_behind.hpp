#pragma once

#include "storage/base/result.hpp"
#include "storage/fs/file_system.hpp"

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

namespace milepost::tool {

// Appends to a file on a thread of its own, so that who makes the text does not wait for the disk:
// at most one piece is being written while the next one is made. Thread: one, beside its own.
class WriteBehind {
public:
    // Writes from byte `end` on. `file` outlives it.
    WriteBehind(storage::File& file, std::uint64_t end);
    WriteBehind(const WriteBehind&) = delete;
    WriteBehind& operator=(const WriteBehind&) = delete;
    // What is not written yet may not be.
    ~WriteBehind();

    // Takes the text, and leaves an empty string with room in its place. Waits for the piece
    // before. An error is that of any earlier piece; then nothing is taken any more.
    [[nodiscard]] Result<void> append(std::string& text);

    // Everything taken is on the disk when it returns.
    [[nodiscard]] Result<void> sync();

    // The file's length when everything taken is written.
    [[nodiscard]] std::uint64_t end() const { return end_; }

private:
    void run();
    [[nodiscard]] Result<void> wait_until_idle(std::unique_lock<std::mutex>& lock);
    [[nodiscard]] Result<void> write();

    storage::File& file_;
    std::uint64_t end_;

    std::mutex mutex_;  // what follows, but for what says otherwise
    std::condition_variable changed_;
    std::string piece_;  // the thread's own while `is_busy_`
    bool is_busy_ = false;
    bool is_ended_ = false;
    Result<void> failed_{};

    std::uint64_t written_;   // the thread's own
    std::uint64_t told_ = 0;  // the thread's own: up to there the kernel was told to begin
    std::thread thread_;
};

}  // namespace milepost::tool
