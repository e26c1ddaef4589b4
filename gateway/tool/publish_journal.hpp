#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace milepost::storage {
class File;
class FolderLock;
}  // namespace milepost::storage

namespace milepost::tool {

// There are no more packet ids (MQTT 2.2.1).
inline constexpr std::uint64_t publishes_in_flight_max = 65'535;

// How far the publishes of a replay are, counted in its records from the first: all exclusive ends,
// completed ≤ received ≤ handed.
struct PublishProgress {
    std::uint64_t completed = 0;  // the broker's last word: PUBACK, PUBCOMP, or a refusal
    std::uint64_t received = 0;   // QoS 2: and PUBREC, so they must never be published again
    std::uint64_t handed = 0;     // and those that may be on the network
    std::uint64_t refused = 0;    // of the received: the broker did not take them
    std::uint64_t again = 0;      // sent a second time though they may have arrived the first time

    friend bool operator==(const PublishProgress&, const PublishProgress&) = default;
};

// That progress in a small file of one line, so that a killed replay goes on exactly where it was.
// It must be written before the bytes that it tells of are sent. Packet ids follow from the numbers
// of the records, and these from the source, so nothing else need be kept. What is written
// survives the end of this program; what is synced, that of the machine. Thread: one.
class PublishJournal {
public:
    // In memory only.
    PublishJournal();

    // `job` names the replay. A new one is made with `count` records completed. One that goes on
    // reads the file, which says at least `count`: without it nobody knows what was sent, a
    // Failure; so is a file that is damaged, of another replay, in use, or cannot be written.
    PublishJournal(
        std::filesystem::path file,
        std::string job,
        bool is_resumed,
        std::uint64_t count
    );
    PublishJournal(PublishJournal&&) noexcept;
    PublishJournal& operator=(PublishJournal&&) noexcept;
    ~PublishJournal();

    [[nodiscard]] const PublishProgress& progress() const { return progress_; }

    // Nothing is written where nothing has changed.
    void write(const PublishProgress& progress);
    void sync();
    // The replay is over.
    void remove();

private:
    void load(std::uint64_t count);
    void write_line();

    std::filesystem::path path_;
    std::string job_;
    std::unique_ptr<storage::FolderLock> lock_;
    std::unique_ptr<storage::File> file_;  // nullptr: in memory
    PublishProgress progress_;
};

}  // namespace milepost::tool
