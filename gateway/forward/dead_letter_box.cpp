#include "gateway/forward/dead_letter_box.hpp"

#include "gateway/forward/dead_letter.hpp"
#include "storage/log/dead_letters.hpp"
#include "storage/log/errc.hpp"

#include <atomic>
#include <chrono>
#include <utility>
#include <vector>

namespace milepost::forward {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds retry_first{100};
constexpr seconds retry_most{5};
// A letter's way over the owner's thread and the disk is looked at so often.
constexpr milliseconds look_interval{20};
constexpr std::size_t read_bytes = 16 * 1024;
// One is enough: dead letters are few, and a topic with one partition can be made anywhere.
constexpr std::int32_t partitions = 1;

}  // namespace

struct DeadLetterBox::Letter {
    enum class State : std::uint8_t { posted, appended, refused };

    DeadLetter content;
    std::atomic<bool> is_given_up{false};
    std::atomic<State> state{State::posted};
    // Written before `state` says appended or refused, read after.
    storage::PartitionId partition;
    storage::Offset offset;
    ErrorCode error;

    // On the owner's thread.
    void append(storage::Log& log) {
        if (is_given_up) return;
        const auto given = try_append(log);
        if (given) {
            offset = *given;
        } else {
            error = given.error();
        }
        // Also after group_full: there is room in the next one.
        log.commit();
        state = given ? State::appended : State::refused;
    }

    Result<storage::Offset> try_append(storage::Log& log) {
        // A log that is closing makes no topics.
        const auto intake = log.intake();
        if (intake != storage::IntakeState::open && intake != storage::IntakeState::disk_reserve) {
            return storage::LogErrc::intake_closed;
        }
        const auto ids = log.ensure_topic(content.topic, partitions);
        if (!ids) return ids.error();
        partition = ids->front();
        std::vector<storage::HeaderView> views;
        return log.append(partition, content.record.view(views), std::nullopt);
    }
};

DeadLetterBox::DeadLetterBox(storage::Log& log, DeadLetterWiring wiring, std::uint64_t seed)
    : log_(log)
    , wiring_(std::move(wiring))
    , backoff_(retry_first, retry_most, seed) {}

DeadLetterBox::~DeadLetterBox() {
    if (letter_) letter_->is_given_up = true;
}

std::optional<DeadLetterBox::Done> DeadLetterBox::turn(Instant now, Timestamp wall) {
    if (waiting_.empty() || now < next_at_) return std::nullopt;
    if (!letter_) {
        if (auto never = write(wall)) return finish(*std::move(never));
        next_at_ = now + look_interval;
        return std::nullopt;
    }
    next_at_ = now + look_interval;
    switch (letter_->state.load()) {
        case Letter::State::posted: return std::nullopt;
        case Letter::State::refused: {
            const ErrorCode error = letter_->error;
            letter_.reset();
            const std::string text = "its dead letter cannot be written: " + error.message();
            if (error == storage::LogErrc::bad_topic ||
                error == storage::LogErrc::record_too_large) {
                return finish(text);
            }
            try_again_later(now, text);
            return std::nullopt;
        }
        case Letter::State::appended: break;
    }
    if (!is_durable()) return std::nullopt;
    const Poison& poison = waiting_.front();
    const auto entered = wiring_.enter(
        {.partition = log_.name(poison.partition),
         .first = poison.offset,
         .end = poison.offset + 1,
         .reason = std::string{storage::poison_reason},
         .noticed = wall,
         .first_time = record_time_,
         .last_time = record_time_,
         .records = 1}
    );
    if (!entered) {
        try_again_later(now, "the gap ledger cannot be written: " + entered.error().message());
        return std::nullopt;
    }
    return finish({});
}

// Hands the letter over to the owner of the open group; or says why there can be none.
std::optional<std::string> DeadLetterBox::write(Timestamp wall) {
    const Poison& poison = waiting_.front();
    if (!wiring_.post) return "there is no place for dead letters";
    const auto read = chunk_.read(log_, poison.partition, poison.offset, read_bytes);
    if (!read) return "it cannot be read: " + read.error().message();
    const auto* record = chunk_.record();
    // Given up meanwhile to make room: the ledger has it.
    if (record == nullptr || record->offset != poison.offset) return std::string{};
    auto content = make_dead_letter(
        log_.name(poison.partition),
        *record,
        poison.reason,
        wall,
        log_.config().record_bytes
    );
    record_time_ = record->timestamp;
    chunk_.drop();
    if (!content) return "it is a dead letter that was cut already";
    letter_ = std::make_shared<Letter>();
    letter_->content = *std::move(content);
    wiring_.post([letter = letter_, &log = log_] { letter->append(log); });
    return std::nullopt;
}

bool DeadLetterBox::is_durable() const {
    return log_.positions(letter_->partition).durable > letter_->offset;
}

void DeadLetterBox::try_again_later(Instant now, std::string why) {
    problem_ = std::move(why);
    next_at_ = now + backoff_.next();
}

DeadLetterBox::Done DeadLetterBox::finish(std::string problem) {
    Done done{.poison = std::move(waiting_.front()), .problem = std::move(problem)};
    if (letter_) {
        done.letter = letter_->content.topic + "-0 offset " +
                      std::to_string(letter_->offset.value());
    }
    waiting_.pop_front();
    letter_.reset();
    problem_.clear();
    backoff_.reset();
    next_at_ = {};
    return done;
}

std::optional<Duration> DeadLetterBox::wait(Instant now) const {
    if (waiting_.empty()) return std::nullopt;
    return std::max(next_at_ - now, Duration::zero());
}

}  // namespace milepost::forward
