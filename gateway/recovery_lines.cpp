#include "gateway/recovery_lines.hpp"

#include "gateway/logging.hpp"
#include "gateway/version.hpp"

#include <chrono>

namespace milepost {

void log_recovery(
    const storage::RecoveryReport& report,
    std::string_view gateway_id,
    const std::filesystem::path& data_dir
) {
    logging::notice(
        "milepostd {}: gateway {}, log {} {} in {}: {} frames, {} records from the journal, "
        "{} bytes of torn segments cut, {} ms",
        version,
        gateway_id,
        report.log_id,
        report.created ? "made" : "recovered",
        data_dir.string(),
        report.frames,
        report.records_from_journal,
        report.segment_bytes_cut,
        std::chrono::duration_cast<std::chrono::milliseconds>(report.took).count()
    );
    for (const auto& note : report.notes)
        logging::notice("{}", note);
    for (const auto& gap : report.gaps) {
        logging::error(
            "lost: {}-{} offsets {} to {}: {}",
            gap.partition.topic,
            gap.partition.partition,
            gap.first.value(),
            gap.end.value() - 1,
            gap.reason
        );
    }
}

}  // namespace milepost
