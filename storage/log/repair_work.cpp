#include "storage/base/check.hpp"
#include "storage/journal/ring.hpp"
#include "storage/log/log.hpp"
#include "storage/log/repair.hpp"
#include "storage/log/segment_name.hpp"
#include "storage/log/set_aside.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace milepost::storage {

namespace {

std::uint64_t bytes_of(std::span<const KeptBatch> kept) {
    std::uint64_t bytes = 0;
    for (const KeptBatch& each : kept) {
        bytes += each.bytes;
    }
    return bytes;
}

class RepairWork {
public:
    RepairWork(FileSystem& files, RepairPlan& plan, Keeper& keeper)
        : files_(files)
        , plan_(plan)
        , keeper_(keeper) {}

    Result<void> run() {
        for (const Gap& gap : plan_.gaps) {
            MILEPOST_TRY(keeper_.record(gap));
        }
        for (const SegmentRepair& repair : plan_.segments) {
            MILEPOST_TRY(mend(repair));
        }
        ring_.reset();
        if (plan_.sets_ring_aside) MILEPOST_TRY(set_ring_aside());
        plan_.lock.reset();
        return plan_.opens_log ? recover_log() : Result<void>{};
    }

private:
    Result<void> mend(const SegmentRepair& repair) {
        const SegmentToAudit& segment = repair.segment;
        if (repair.rewrites_log) {
            const auto log = segment_path(segment.folder, segment.base, SegmentFile::log);
            if (const auto kept = keep_beside(files_, log); !kept) return kept.error();
            const std::span<const KeptBatch> kept{repair.findings.kept};
            const auto split = split_at(repair);
            if (split) {
                MILEPOST_TRY(make_second_half(repair, kept.subspan(*split)));
                MILEPOST_TRY(put(log, log, kept.first(*split)));
            } else {
                MILEPOST_TRY(replace_whole(repair));
            }
        }
        return make_indexes(repair);
    }

    // The segment that is appended to must have no hole and be as long as the checkpoint says: what
    // is behind its last hole becomes a segment of its own, and recovery takes the first half as it
    // takes any older segment. nullopt: that is not needed, or there is nothing to split.
    [[nodiscard]] std::optional<std::size_t> split_at(const SegmentRepair& repair) const {
        const auto& kept = repair.findings.kept;
        const bool keeps_length = repair.is_active &&
                                  bytes_of(kept) == repair.segment.trusted_bytes;
        if (!repair.is_last || keeps_length || kept.empty()) return std::nullopt;
        std::size_t split = 0;
        for (std::size_t i = 1; i < kept.size(); ++i) {
            if (kept[i].first > kept[i - 1].next) split = i;
        }
        if (split == 0 && kept.front().first == repair.segment.base) {
            if (!repair.is_active) return std::nullopt;
            split = kept.size() - 1;  // the end is lost: any place will do
        }
        if (kept[split].first == repair.segment.base) return std::nullopt;
        return split;
    }

    Result<void> put(
        const std::filesystem::path& source,
        const std::filesystem::path& path,
        std::span<const KeptBatch> kept
    ) {
        MILEPOST_TRY(write_kept(files_, source, path, kept));
        MILEPOST_TRY(files_.rename(unfinished_repair(path), path));
        return files_.sync_directory(path.parent_path());
    }

    Result<void> make_second_half(const SegmentRepair& repair, std::span<const KeptBatch> kept) {
        const auto& folder = repair.segment.folder;
        const Offset base = kept.front().first;
        const auto log = segment_path(folder, repair.segment.base, SegmentFile::log);
        const auto half = segment_path(folder, base, SegmentFile::log);
        MILEPOST_TRY(put(log, half, kept));
        const auto indexes = index_segment(files_, half, base, bytes_of(kept), false);
        if (!indexes) return indexes.error();
        MILEPOST_TRY(replace_file(
            files_,
            segment_path(folder, base, SegmentFile::offset_index),
            indexes->offsets
        ));
        MILEPOST_TRY(replace_file(
            files_,
            segment_path(folder, base, SegmentFile::time_index),
            indexes->times
        ));
        MILEPOST_TRY(files_.sync_directory(folder));
        if (!repair.is_active) return {};
        return write_slot(repair.partition, base, bytes_of(kept));
    }

    // The active segment may have no batch left to split off: then the checkpoint forgets its
    // length while it is replaced.
    Result<void> replace_whole(const SegmentRepair& repair) {
        const auto& segment = repair.segment;
        const auto& kept = repair.findings.kept;
        const auto log = segment_path(segment.folder, segment.base, SegmentFile::log);
        const bool moves_end = repair.is_active && bytes_of(kept) != segment.trusted_bytes;
        if (moves_end) MILEPOST_TRY(write_slot(repair.partition, std::nullopt, 0));
        MILEPOST_TRY(put(log, log, kept));
        if (!moves_end || kept.empty()) return {};
        return write_slot(repair.partition, segment.base, bytes_of(kept));
    }

    // `base` nullopt: a segment that begins where the checkpoint ends.
    Result<void> write_slot(
        const TopicPartition& partition,
        std::optional<Offset> base,
        std::uint64_t bytes
    ) {
        if (!ring_) {
            auto ring =
                Ring::open(files_, plan_.data_dir / journal_folder_name, plan_.ring.value());
            if (!ring) return ring.error();
            ring_ = std::move(*ring);
        }
        Checkpoint& checkpoint = plan_.slot.value().checkpoint;
        for (CheckpointPartition& each : checkpoint.partitions) {
            if (each.name != partition) continue;
            each.active_base = base.value_or(each.next);
            each.active_bytes = bytes;
        }
        return ring_->write_slot(checkpoint);
    }

    Result<void> make_indexes(const SegmentRepair& repair) {
        const SegmentToAudit& segment = repair.segment;
        const auto log = segment_path(segment.folder, segment.base, SegmentFile::log);
        const bool is_sealed = !repair.is_last || split_at(repair).has_value();
        constexpr auto all = std::numeric_limits<std::uint64_t>::max();
        const auto made = index_segment(files_, log, segment.base, all, is_sealed);
        if (!made) return made.error();
        if (repair.makes_offset_index) {
            MILEPOST_TRY(make_index(repair, SegmentFile::offset_index, made->offsets));
        }
        if (repair.makes_time_index) {
            MILEPOST_TRY(make_index(repair, SegmentFile::time_index, made->times));
        }
        return files_.sync_directory(segment.folder);
    }

    Result<void> make_index(const SegmentRepair& repair, SegmentFile kind, Bytes bytes) {
        const auto path = segment_path(repair.segment.folder, repair.segment.base, kind);
        const auto kept = keep_beside(files_, path);
        if (!kept && kept.error() != boost::system::errc::no_such_file_or_directory) {
            return kept.error();
        }
        return replace_file(files_, path, bytes);
    }

    Result<void> set_ring_aside() {
        const auto folder = plan_.data_dir / journal_folder_name;
        const auto ring = ring_path(folder, plan_.ring.value());
        const auto beside = name_beside(files_, ring);
        if (!beside) return beside.error();
        MILEPOST_TRY(files_.rename(ring, *beside));
        return files_.sync_directory(folder);
    }

    // As a start and a stop of the gateway would do.
    Result<void> recover_log() {
        LogConfig config;
        config.data_dir = plan_.data_dir;
        config.ring_bytes = plan_.ring_bytes;
        config.machine_id_hash = plan_.options.machine_id_hash;
        config.background = false;
        NobodyListens listener;
        RecoveryReport report;
        auto log = Log::open(
            std::move(config),
            {.files = files_, .keeper = keeper_, .listener = listener, .post = {}},
            report
        );
        if (!log) return log.error();
        return (*log)->close();
    }

    FileSystem& files_;
    RepairPlan& plan_;
    Keeper& keeper_;
    std::unique_ptr<Ring> ring_;
};

// The half is still where it came from; as long as this is so it must not be taken for a segment.
Result<void> take_back(FileSystem& files, const std::filesystem::path& half) {
    MILEPOST_TRY(files.rename(half, unfinished_repair(half)));
    return files.sync_directory(half.parent_path());
}

}  // namespace

Result<void> carry_out(FileSystem& files, RepairPlan plan, Keeper& keeper) {
    if (plan.bytes_needed > plan.bytes_available) {
        return make_error_code(boost::system::errc::no_space_on_device);
    }
    if (!plan.leftover.empty()) {
        for (const auto& half : plan.leftover) {
            MILEPOST_TRY(take_back(files, half));
        }
        auto again = plan_repair(files, plan.data_dir, plan.options, std::move(plan.lock));
        if (!again) return again.error();
        MILEPOST_CHECK(again->leftover.empty());
        return carry_out(files, std::move(*again), keeper);
    }
    return RepairWork{files, plan, keeper}.run();
}

}  // namespace milepost::storage
