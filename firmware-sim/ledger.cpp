#include "firmware-sim/ledger.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace milepost::fleet {

namespace {

constexpr std::size_t read_bytes = 65'536;
constexpr std::size_t waiting_bytes_max = 1 << 20U;  // written at once, due or not

ErrorCode file_error() {
    return {errno, boost::system::system_category()};
}

}  // namespace

Result<Ledger> Ledger::open(const std::string& path) {
    Ledger ledger;
    ledger.fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (ledger.fd_ < 0) return file_error();
    if (::flock(ledger.fd_, LOCK_EX | LOCK_NB) != 0) return file_error();
    MILEPOST_TRY(ledger.read_and_cut());
    return ledger;
}

Result<void> Ledger::read_and_cut() {
    sensors::LedgerReader reader;
    const auto note = [this](const sensors::LedgerEntry& entry) {
        const auto found = last_seq_.find(entry.vehicle);
        if (found == last_seq_.end()) {
            last_seq_.emplace(entry.vehicle, entry.seq);
        } else {
            found->second = std::max(found->second, entry.seq);
        }
    };
    std::array<char, read_bytes> buffer{};
    off_t size = 0;
    for (;;) {
        const ssize_t got = ::read(fd_, buffer.data(), buffer.size());
        if (got < 0) return file_error();
        if (got == 0) break;
        MILEPOST_TRY(reader.feed({buffer.data(), static_cast<std::size_t>(got)}, note));
        size += got;
    }
    if (reader.torn_bytes() > 0) {
        if (::ftruncate(fd_, size - static_cast<off_t>(reader.torn_bytes())) != 0) {
            return file_error();
        }
    }
    if (reader.line() == 0) {
        waiting_ = sensors::ledger_header;
        waiting_ += '\n';
    }
    return flush();
}

Ledger::~Ledger() {
    if (fd_ < 0) return;
    [[maybe_unused]] const auto flushed = flush();  // asked for before, where it matters
    ::close(fd_);
}

Ledger::Ledger(Ledger&& other) noexcept
    : fd_(std::exchange(other.fd_, -1))
    , waiting_(std::move(other.waiting_))
    , last_flush_(other.last_flush_)
    , last_seq_(std::move(other.last_seq_)) {}

Ledger& Ledger::operator=(Ledger&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(waiting_, other.waiting_);
    std::swap(last_flush_, other.last_flush_);
    std::swap(last_seq_, other.last_seq_);
    return *this;
}

std::uint64_t Ledger::last_seq(const std::string& vehicle) const {
    const auto found = last_seq_.find(vehicle);
    return found == last_seq_.end() ? 0 : found->second;
}

void Ledger::add(const sensors::LedgerEntry& entry) {
    if (fd_ >= 0) sensors::append_ledger_line(entry, waiting_);
}

Result<void> Ledger::flush_if_due(Instant now) {
    if (waiting_.empty()) return {};
    if (now < last_flush_ + flush_every && waiting_.size() < waiting_bytes_max) return {};
    last_flush_ = now;
    return flush();
}

Result<void> Ledger::flush() {
    std::string_view rest = waiting_;
    while (!rest.empty()) {
        const ssize_t written = ::write(fd_, rest.data(), rest.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) {
            const ErrorCode error = file_error();
            waiting_.erase(0, waiting_.size() - rest.size());
            return error;
        }
        rest.remove_prefix(static_cast<std::size_t>(written));
    }
    waiting_.clear();
    return {};
}

Instant Ledger::next_flush() const {
    return waiting_.empty() ? Instant::max() : last_flush_ + flush_every;
}

}  // namespace milepost::fleet
