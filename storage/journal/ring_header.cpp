#include "storage/journal/ring_header.hpp"

#include "storage/format/crc32c.hpp"
#include "storage/journal/errc.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <optional>
#include <random>
#include <string_view>

namespace milepost::storage {
namespace {

constexpr std::size_t crc_at = 4;
constexpr std::size_t crc_from = 8;
constexpr std::size_t version_at = 8;
constexpr std::size_t generation_at = 12;
constexpr std::size_t log_id_at = 16;
constexpr std::size_t ring_key_at = 24;
constexpr std::size_t ring_bytes_at = 32;
constexpr std::size_t machine_at = 40;

constexpr std::string_view name_prefix = "ring-";
constexpr std::size_t name_digits = 8;

Result<RingHeader> decode_copy(Bytes block) {
    const std::byte* from = block.data();
    if (load_little<std::uint32_t>(from) != ring_magic ||
        load_little<std::uint32_t>(from + crc_at) != crc32c(block.subspan(crc_from))) {
        return make_error_code(JournalErrc::header_damaged);
    }
    if (load_little<std::uint16_t>(from + version_at) > journal_version) {
        return make_error_code(JournalErrc::newer_version);
    }
    RingHeader header;
    header.generation = load_little<std::uint32_t>(from + generation_at);
    header.log_id = load_little<std::uint64_t>(from + log_id_at);
    header.ring_key = load_little<std::uint64_t>(from + ring_key_at);
    header.ring_bytes = load_little<std::uint64_t>(from + ring_bytes_at);
    header.machine_id_hash = load_little<std::uint64_t>(from + machine_at);
    if (header.ring_bytes % block_bytes != 0 || header.ring_bytes == 0 ||
        header.ring_bytes > ring_bytes_max) {
        return make_error_code(JournalErrc::bad_size);
    }
    return header;
}

std::optional<std::uint32_t> parse_name(std::string_view name) {
    if (name.size() != name_prefix.size() + name_digits || !name.starts_with(name_prefix)) {
        return std::nullopt;
    }
    const char* begin = name.data() + name_prefix.size();
    const char* end = name.data() + name.size();
    std::uint32_t generation = 0;
    const auto [stopped, error] = std::from_chars(begin, end, generation);
    if (error != std::errc{} || stopped != end) return std::nullopt;
    return generation;
}

std::uint64_t random_number() {
    std::random_device device;
    return (std::uint64_t{device()} << 32U) | device();
}

}  // namespace

std::uint64_t make_ring_key() {
    return random_number();
}

std::uint64_t make_log_id() {
    return random_number();
}

Buffer encode_ring_header(const RingHeader& header) {
    Buffer out(ring_header_copies * block_bytes);
    std::byte* to = out.data();
    store_little(to, ring_magic);
    store_little(to + version_at, journal_version);
    store_little(to + generation_at, header.generation);
    store_little(to + log_id_at, header.log_id);
    store_little(to + ring_key_at, header.ring_key);
    store_little(to + ring_bytes_at, header.ring_bytes);
    store_little(to + machine_at, header.machine_id_hash);
    store_little(to + crc_at, crc32c(Bytes{out}.subspan(crc_from, block_bytes - crc_from)));
    std::memcpy(to + block_bytes, to, block_bytes);
    return out;
}

Result<RingHeader> decode_ring_header(Bytes bytes) {
    Result<RingHeader> found = make_error_code(JournalErrc::header_damaged);
    for (std::size_t copy = 0; copy < ring_header_copies; ++copy) {
        if (bytes.size() < (copy + 1) * block_bytes) break;
        auto header = decode_copy(bytes.subspan(copy * block_bytes, block_bytes));
        // Half upgraded by a newer version: it is that one's.
        if (!header && header.error() == JournalErrc::newer_version) return header.error();
        const bool is_better = header || header.error() != JournalErrc::header_damaged;
        if (!found && is_better) found = std::move(header);
    }
    return found;
}

std::filesystem::path ring_path(const std::filesystem::path& folder, std::uint32_t generation) {
    std::array<char, 32> name{};
    std::snprintf(name.data(), name.size(), "ring-%08u", generation);
    return folder / name.data();
}

Result<std::vector<std::uint32_t>> ring_generations(
    FileSystem& files,
    const std::filesystem::path& folder
) {
    auto entries = files.list(folder);
    if (!entries) return entries.error();
    std::vector<std::uint32_t> generations;
    for (const DirectoryEntry& entry : *entries) {
        const auto generation = parse_name(entry.name);
        if (generation && !entry.is_directory) generations.push_back(*generation);
    }
    std::sort(generations.begin(), generations.end());
    return generations;
}

}  // namespace milepost::storage
