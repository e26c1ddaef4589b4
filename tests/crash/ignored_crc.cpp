#include "tests/crash/ignored_crc.hpp"

#undef crc32c_extend
#undef crc32c

namespace milepost::test {

IgnoredCrc ignored_crc = IgnoredCrc::none;

namespace {

// storage/FORMAT.md: the CRC of a frame's header covers 40 bytes; that of a slot all from byte 8
// on, with the slot's length at byte 12.
IgnoredCrc what_it_covers(Bytes bytes) {
    constexpr std::size_t before = 8;
    if (bytes.size() == 40) return IgnoredCrc::frame_header;
    const bool is_slot = bytes.size() > 40 &&
                         load_little<std::uint32_t>(bytes.data() + 4) == bytes.size() + before;
    return is_slot ? IgnoredCrc::slot : IgnoredCrc::frame_payload;
}

}  // namespace

std::uint32_t journal_crc(std::uint32_t seed, Bytes bytes) {
    return what_it_covers(bytes) == ignored_crc ? 0 : storage::crc32c_extend(seed, bytes);
}

std::uint32_t batch_crc(Bytes bytes) {
    return ignored_crc == IgnoredCrc::batch ? 0 : storage::crc32c(bytes);
}

}  // namespace milepost::test
