#include "storage/log/recovery.hpp"

#include "storage/base/units.hpp"
#include "storage/format/record_batch.hpp"
#include "storage/journal/frame.hpp"
#include "storage/log/recovery_table.hpp"
#include "storage/log/segment_name.hpp"
#include "storage/log/segment_recovery.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace milepost::storage {

namespace {

constexpr std::string_view gap_reason = "rot";
// The most records that a group can have held: 4 MiB of the smallest.
constexpr std::int64_t frame_records_max = 4 * mib / 7;
// What others keep in the data folder.
constexpr std::array<std::string_view, 5> known_names{
    "lock",
    journal_folder_name,
    "meta.db",
    "meta.db-wal",
    "meta.db-shm"};

bool is_known(std::string_view name) {
    return std::find(known_names.begin(), known_names.end(), name) != known_names.end();
}

class Recovery {
public:
    Recovery(
        const RecoveryInput& input,
        PartitionSet& partitions,
        ReaderCache& readers,
        RecoveryReport& report
    )
        : input_(input)
        , partitions_(partitions)
        , readers_(readers)
        , report_(report) {}

    Result<void> run() {
        MILEPOST_TRY(find_partitions());
        for (const auto& [name, checkpoint] : found_) {
            MILEPOST_TRY(recover_partition(name, checkpoint));
        }
        for (const ReplayedFrame& frame : input_.frames) {
            MILEPOST_TRY(replay(frame));
        }
        reach_the_lost();
        reach_the_checkpoint();
        report_.frames = input_.frames.size();
        for (const SequenceHole& hole : input_.holes) {
            report_.notes.push_back(
                "journal: frames " + std::to_string(hole.first) + " to " +
                std::to_string(hole.end - 1) + " cannot be read any more"
            );
        }
        return {};
    }

private:
    Result<void> find_partitions() {
        if (input_.slot) {
            for (const auto& partition : input_.slot->checkpoint.partitions) {
                found_[partition.name] = partition;
            }
        }
        const auto entries = input_.files.list(input_.data_dir);
        if (!entries) return entries.error();
        for (const DirectoryEntry& entry : *entries) {
            const auto name = parse_partition_folder_name(entry.name);
            if (entry.is_directory && name) {
                found_.try_emplace(*name);
            } else if (!is_known(entry.name)) {
                report_.notes.push_back("left alone: " + entry.name);
            }
        }
        return {};
    }

    Result<void> recover_partition(
        const TopicPartition& name,
        const std::optional<CheckpointPartition>& checkpoint
    ) {
        const auto folder = input_.data_dir / partition_folder_name(name);
        const SegmentsKnown known{
            .checkpoint = checkpoint,
            .has_slot = input_.slot.has_value(),
            .read_only = input_.read_only};
        auto recovered = recover_segments(input_.files, folder, known, report_);
        if (!recovered) return recovered.error();
        auto partition = std::make_unique<Partition>(readers_, name, folder);
        if (checkpoint && !recovered->segments.empty() &&
            checkpoint->start < recovered->segments.front().base) {
            add_gap(name, checkpoint->start, recovered->segments.front().base);
        }
        partition->restore(std::move(recovered->segments), recovered->end);
        partitions_.add(std::move(partition));
        return {};
    }

    Result<void> replay(const ReplayedFrame& frame) {
        SectionCursor cursor{frame.payload, frame.section_count};
        while (true) {
            const auto section = cursor.next();
            if (!section) {
                report_.notes.push_back(
                    "journal: frame " + std::to_string(frame.place.sequence) + ": " +
                    section.error().message()
                );
                return {};
            }
            if (!section->has_value()) return {};
            if (const auto* records = std::get_if<RecordsSection>(&**section)) {
                MILEPOST_TRY(replay_records(*records, frame.place.sequence));
            } else if (const auto* session = std::get_if<SessionSection>(&**section)) {
                report_.sessions.push_back(
                    {.client_id = std::string{session->client_id},
                     .state = Buffer{session->state.begin(), session->state.end()}}
                );
            }
        }
    }

    Result<void> replay_records(const RecordsSection& section, std::uint64_t sequence) {
        const TopicPartition name{
            .topic = std::string{section.topic},
            .partition = section.partition};
        named_in_[name] = sequence;
        const auto header = check_batch(section.batch);
        auto id = partitions_.find(name);
        if (!id) {
            // Its folder was not durable yet.
            MILEPOST_TRY(make_folder(name));
            auto made = std::make_unique<Partition>(
                readers_,
                name,
                input_.data_dir / partition_folder_name(name)
            );
            id = partitions_.add(std::move(made));
        }
        Partition& partition = partitions_[*id];
        const Offset end = partition.positions().durable;
        switch (
            decide_section(overlap(header, end), header ? SectionState::whole : SectionState::wrong)
        ) {
            case SectionDecision::skip: return {};
            case SectionDecision::skip_wrong:
                report_.notes.push_back(
                    "journal: " + partition_folder_name(name) + ": a rotten batch"
                );
                return {};
            case SectionDecision::hole_and_take: add_gap(name, end, header->base_offset); break;
            case SectionDecision::take_rest:
            case SectionDecision::take: break;
        }
        const Offset base = std::max(header->base_offset, end);
        partition.restore_tail(
            {.base = base,
             .next = header->next_offset(),
             .batch = section.batch,
             .max_timestamp = header->max_timestamp}
        );
        report_.records_from_journal += static_cast<std::uint64_t>(header->next_offset() - base);
        return {};
    }

    static SectionOverlap overlap(const Result<BatchHeader>& header, Offset end) {
        if (!header || header->next_offset() <= end) return SectionOverlap::in_segments;
        if (header->base_offset < end) return SectionOverlap::straddles;
        return header->base_offset == end ? SectionOverlap::follows : SectionOverlap::leaves_gap;
    }

    Result<void> make_folder(const TopicPartition& name) {
        if (input_.read_only) return {};
        MILEPOST_TRY(input_.files.make_directory(input_.data_dir / partition_folder_name(name)));
        return input_.files.sync_directory(input_.data_dir);
    }

    // What rotten frames say they held at the end of a partition is a hole, too. Their word counts
    // where it goes on from what is there, or where other frames are lost without a word, and no
    // further than those can have reached. A later frame that names the partition knows better.
    void reach_the_lost() {
        std::int64_t silent = 0;
        for (const SequenceHole& hole : input_.holes)
            silent += static_cast<std::int64_t>(hole.end - hole.first);
        std::uint64_t last = 0;
        for (const LostRecords& lost : input_.lost)
            silent -= std::exchange(last, lost.sequence) != lost.sequence ? 1 : 0;
        for (const LostRecords& lost : input_.lost) {
            const auto id = partitions_.find(lost.name);
            const auto named = named_in_.find(lost.name);
            const bool is_older = named != named_in_.end() && named->second > lost.sequence;
            if (!id || is_older) continue;
            const Offset end = partitions_[*id].positions().durable;
            if (lost.next <= end || lost.base - end > silent * frame_records_max) continue;
            add_gap(lost.name, end, lost.next);
            partitions_[*id].restore_end(lost.next);
        }
    }

    // What the checkpoint promised and neither segments nor journal have is a hole at the end: its
    // offsets are not given again.
    void reach_the_checkpoint() {
        for (const auto& [name, checkpoint] : found_) {
            if (!checkpoint) continue;
            Partition& partition = partitions_[*partitions_.find(name)];
            const Offset durable = partition.positions().durable;
            if (durable >= checkpoint->next) continue;
            add_gap(name, durable, checkpoint->next);
            partition.restore_end(checkpoint->next);
        }
    }

    void add_gap(const TopicPartition& name, Offset first, Offset end) {
        report_.gaps.push_back(
            {.partition = name,
             .first = first,
             .end = end,
             .reason = std::string{gap_reason},
             .noticed = wall_now()}
        );
    }

    const RecoveryInput& input_;
    PartitionSet& partitions_;
    ReaderCache& readers_;
    RecoveryReport& report_;
    std::map<TopicPartition, std::optional<CheckpointPartition>> found_;
    std::map<TopicPartition, std::uint64_t>
        named_in_;  // the last whole frame that has records of it
};

}  // namespace

Result<void> recover(
    const RecoveryInput& input,
    PartitionSet& partitions,
    ReaderCache& readers,
    RecoveryReport& report
) {
    return Recovery{input, partitions, readers, report}.run();
}

Result<SegmentsThere> look_for_segments(FileSystem& files, const std::filesystem::path& data_dir) {
    const auto entries = files.list(data_dir);
    if (!entries) return entries.error();
    for (const DirectoryEntry& entry : *entries) {
        if (!entry.is_directory || !parse_partition_folder_name(entry.name)) continue;
        const auto inside = files.list(data_dir / entry.name);
        if (!inside) return inside.error();
        for (const DirectoryEntry& file : *inside) {
            if (parse_segment_file_name(file.name)) return SegmentsThere::some;
        }
    }
    return SegmentsThere::none;
}

}  // namespace milepost::storage
