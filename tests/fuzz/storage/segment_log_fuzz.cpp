// A `.log` from anywhere, behind a good batch: the scanner ends, and neither the reader nor the
// audit gives the good batch up.
#include "storage/base/check.hpp"
#include "storage/format/batch_builder.hpp"
#include "storage/format/errc.hpp"
#include "storage/log/batch_scanner.hpp"
#include "storage/log/segment_audit.hpp"
#include "storage/log/segment_name.hpp"
#include "storage/log/segment_reader.hpp"
#include "tests/support/forgetful_disk.hpp"

#include <cstddef>
#include <cstdint>

using namespace milepost;
using namespace milepost::storage;

namespace {

Buffer batch_at(Offset base) {
    BatchBuilder builder;
    builder.start(base);
    builder.add(RecordView{Timestamp{1}, as_bytes("V1"), as_bytes("{}"), {}});
    Buffer bytes;
    MILEPOST_CHECK(builder.finish(Codec::none, bytes).has_value());
    return bytes;
}

void scan(File& log, std::uint64_t bytes) {
    BatchScanner scanner{log, {FilePosition{0}, FilePosition{bytes}}, Offset{0}};
    FilePosition last{0};
    for (;;) {
        const auto batch = scanner.next();
        if (batch && !batch->has_value()) break;
        if (!batch) {
            MILEPOST_CHECK(batch.error().category() == format_category());
            const auto found = scanner.resync();
            MILEPOST_CHECK(found.has_value());
            if (*found == BatchScanner::Resync::at_end) break;
        }
        MILEPOST_CHECK(scanner.position() > last);
        last = scanner.position();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // The offset behind the fuzz is so high that only bytes made for it could contradict the first
    // batch's.
    Buffer bytes = batch_at(Offset{0});
    append_bytes(bytes, std::as_bytes(std::span{data, size}));
    append_bytes(bytes, batch_at(Offset{1000}));

    milepost::test::ForgetfulDisk disk;
    MILEPOST_CHECK(disk.make_directory("/t-0").has_value());
    auto log = disk.open(segment_path("/t-0", Offset{0}, SegmentFile::log), OpenMode::create_new);
    MILEPOST_CHECK(log.has_value());
    MILEPOST_CHECK((*log)->write_at(FilePosition{0}, bytes).has_value());
    scan(**log, bytes.size());

    auto reader = SegmentReader::open(disk, "/t-0", Offset{0});
    MILEPOST_CHECK(reader.has_value());
    Buffer buffer;
    const auto read = (*reader)->read(Offset{0}, 1, FilePosition{bytes.size()}, buffer);
    MILEPOST_CHECK(read.has_value() && read->next == Offset{1});
    MILEPOST_CHECK((*reader)->find_timestamp(Timestamp{2}, FilePosition{bytes.size()}).has_value());

    SegmentToAudit segment;
    segment.folder = "/t-0";
    segment.deep = true;
    const auto audit = audit_segment(disk, segment);
    MILEPOST_CHECK(audit.has_value());
    MILEPOST_CHECK(audit->records >= 1);
    return 0;
}
