#include "storage/format/compression.hpp"

#include "storage/base/units.hpp"
#include "storage/format/errc.hpp"

#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <string_view>

namespace milepost::storage {

namespace {

// Measured on telemetry-like JSON of 225 bytes a record in batches of 64 KiB: level 1 packs 11 to 1
// for 0.23 CPU seconds a million records, level 3 no better for 0.25, level -5 6 to 1 for 0.14;
// lz4 packs 5 to 1 for 0.19.
constexpr int zstd_level = 1;

struct FreeZstdCompressor {
    void operator()(ZSTD_CCtx* context) const { ::ZSTD_freeCCtx(context); }
};

struct FreeZstdDecompressor {
    void operator()(ZSTD_DCtx* context) const { ::ZSTD_freeDCtx(context); }
};

struct FreeLz4Decompressor {
    void operator()(LZ4F_dctx* context) const { ::LZ4F_freeDecompressionContext(context); }
};

struct EndInflate {
    void operator()(z_stream* stream) const {
        ::inflateEnd(stream);
        delete stream;
    }
};

// One context per thread and direction: making one costs more than a small batch.
ZSTD_CCtx& zstd_compressor() {
    thread_local const std::unique_ptr<ZSTD_CCtx, FreeZstdCompressor> context{::ZSTD_createCCtx()};
    if (context == nullptr) throw std::bad_alloc{};
    return *context;
}

ZSTD_DCtx& zstd_decompressor() {
    thread_local const std::unique_ptr<ZSTD_DCtx, FreeZstdDecompressor> context{
        ::ZSTD_createDCtx()};
    if (context == nullptr) throw std::bad_alloc{};
    return *context;
}

LZ4F_dctx& lz4_decompressor() {
    thread_local const std::unique_ptr<LZ4F_dctx, FreeLz4Decompressor> context{[] {
        LZ4F_dctx* made = nullptr;
        const auto outcome = ::LZ4F_createDecompressionContext(&made, LZ4F_VERSION);
        return ::LZ4F_isError(outcome) != 0 ? nullptr : made;
    }()};
    if (context == nullptr) throw std::bad_alloc{};
    ::LZ4F_resetDecompressionContext(context.get());
    return *context;
}

Result<void> compress_zstd(Bytes from, Buffer& to) {
    const std::size_t start = to.size();
    to.resize(start + ::ZSTD_compressBound(from.size()));
    const std::size_t written = ::ZSTD_compressCCtx(
        &zstd_compressor(),
        to.data() + start,
        to.size() - start,
        from.data(),
        from.size(),
        zstd_level
    );
    const bool failed = ::ZSTD_isError(written) != 0;
    to.resize(start + (failed ? 0 : written));
    if (failed) return FormatErrc::compression_failed;
    return {};
}

Result<void> compress_lz4(Bytes from, Buffer& to) {
    LZ4F_preferences_t preferences{};
    preferences.frameInfo.blockSizeID = LZ4F_max64KB;
    // Kafka's own reader refuses blocks that depend on each other.
    preferences.frameInfo.blockMode = LZ4F_blockIndependent;
    preferences.frameInfo.contentSize = from.size();
    const std::size_t start = to.size();
    to.resize(start + ::LZ4F_compressFrameBound(from.size(), &preferences));
    const std::size_t written = ::LZ4F_compressFrame(
        to.data() + start,
        to.size() - start,
        from.data(),
        from.size(),
        &preferences
    );
    const bool failed = ::LZ4F_isError(written) != 0;
    to.resize(start + (failed ? 0 : written));
    if (failed) return FormatErrc::compression_failed;
    return {};
}

// Room for unpacked bytes behind what `to` holds, growing up to a limit: nothing is allocated
// because hostile bytes say so.
class Room {
public:
    Room(Buffer& to, std::size_t limit_bytes, std::size_t first_bytes)
        : to_(to)
        , start_(to.size())
        , limit_bytes_(limit_bytes) {
        resize(std::min(limit_bytes, std::max<std::size_t>(first_bytes, 1024)));
    }

    [[nodiscard]] std::byte* data() { return to_.data() + start_ + used_; }

    [[nodiscard]] std::size_t bytes() const { return to_.size() - start_ - used_; }

    void use(std::size_t count) { used_ += count; }

    // False: the limit is reached.
    [[nodiscard]] bool grow() {
        const std::size_t now = to_.size() - start_;
        if (now >= limit_bytes_) return false;
        resize(std::min(limit_bytes_, 2 * now));
        return true;
    }

    void keep() { to_.resize(start_ + used_); }

    void drop() { to_.resize(start_); }

private:
    void resize(std::size_t bytes) {
        to_.reserve(start_ + bytes);  // exactly: resize() alone may take twice as much
        to_.resize(start_ + bytes);
    }

    Buffer& to_;
    std::size_t start_;
    std::size_t used_ = 0;
    std::size_t limit_bytes_;
};

// What a batch usually unpacks to; a guess where the frame does not say.
std::size_t guess(Bytes from) {
    return 8 * from.size();
}

Result<void> unpack_zstd(Bytes from, std::size_t limit_bytes, Room& room) {
    const auto said = ::ZSTD_getFrameContentSize(from.data(), from.size());
    if (said == ZSTD_CONTENTSIZE_ERROR) return FormatErrc::compression_failed;
    if (said != ZSTD_CONTENTSIZE_UNKNOWN && said > limit_bytes) return FormatErrc::too_large;
    // In one go, again with twice the room if it was too small: so the window is the room itself,
    // and the library allocates none.
    for (;;) {
        const std::size_t written = ::ZSTD_decompressDCtx(
            &zstd_decompressor(),
            room.data(),
            room.bytes(),
            from.data(),
            from.size()
        );
        if (::ZSTD_isError(written) == 0) {
            room.use(written);
            return {};
        }
        if (::ZSTD_getErrorCode(written) != ZSTD_error_dstSize_tooSmall) {
            return FormatErrc::compression_failed;
        }
        if (!room.grow()) return FormatErrc::too_large;
    }
}

Result<void> unpack_lz4(Bytes from, Room& room) {
    LZ4F_dctx& context = lz4_decompressor();
    for (;;) {
        std::size_t written = room.bytes();
        std::size_t taken = from.size();
        const std::size_t wanted =
            ::LZ4F_decompress(&context, room.data(), &written, from.data(), &taken, nullptr);
        if (::LZ4F_isError(wanted) != 0) return FormatErrc::compression_failed;
        room.use(written);
        from = from.subspan(taken);
        if (wanted == 0) {
            if (!from.empty()) return FormatErrc::compression_failed;
            return {};
        }
        if (written + taken > 0) continue;
        // It stands still for want of room, or of bytes: then it ends too early.
        if (room.bytes() > 0) return FormatErrc::compression_failed;
        if (!room.grow()) return FormatErrc::too_large;
    }
}

Result<void> unpack_gzip(Bytes from, Room& room) {
    constexpr int gzip_window_bits = 15 + 16;
    if (from.size() > std::numeric_limits<uInt>::max()) return FormatErrc::too_large;
    auto made = std::make_unique<z_stream>();
    if (::inflateInit2(made.get(), gzip_window_bits) != Z_OK) throw std::bad_alloc{};
    const std::unique_ptr<z_stream, EndInflate> stream{made.release()};
    auto* bytes = const_cast<std::byte*>(from.data());  // NOLINT(*-const-cast): zlib only reads
    stream->next_in = reinterpret_cast<Bytef*>(bytes);
    stream->avail_in = static_cast<uInt>(from.size());
    for (;;) {
        const std::size_t before = room.bytes();
        stream->next_out = reinterpret_cast<Bytef*>(room.data());
        stream->avail_out = static_cast<uInt>(before);
        const int outcome = ::inflate(stream.get(), Z_NO_FLUSH);
        room.use(before - stream->avail_out);
        if (outcome == Z_STREAM_END) return {};
        if (outcome == Z_OK) continue;
        if (outcome != Z_BUF_ERROR) return FormatErrc::compression_failed;
        // It stands still for want of room, or of bytes: then it ends too early.
        if (room.bytes() > 0) return FormatErrc::compression_failed;
        if (!room.grow()) return FormatErrc::too_large;
    }
}

Result<void> unpack_snappy_block(Bytes block, Room& room) {
    const std::string_view text = as_text(block);
    std::size_t bytes = 0;
    if (::snappy_uncompressed_length(text.data(), text.size(), &bytes) != SNAPPY_OK) {
        return FormatErrc::compression_failed;
    }
    while (room.bytes() < bytes) {
        if (!room.grow()) return FormatErrc::too_large;
    }
    auto* to = reinterpret_cast<char*>(room.data());
    if (::snappy_uncompress(text.data(), text.size(), to, &bytes) != SNAPPY_OK) {
        return FormatErrc::compression_failed;
    }
    room.use(bytes);
    return {};
}

// One raw block, or the framing of Java's clients (xerial): a magic, two versions, then blocks
// with their lengths in front.
Result<void> unpack_snappy(Bytes from, Room& room) {
    using namespace std::string_view_literals;
    constexpr std::string_view magic = "\x82SNAPPY\0"sv;
    constexpr std::size_t preamble_bytes = 16;
    if (from.size() < preamble_bytes || as_text(from.first(magic.size())) != magic) {
        return unpack_snappy_block(from, room);
    }
    ByteReader reader{from.subspan(preamble_bytes)};
    while (reader.remaining() != 0) {
        const auto bytes = reader.big<std::int32_t>();
        if (!bytes || *bytes < 0) return FormatErrc::compression_failed;
        const auto block = reader.bytes(static_cast<std::size_t>(*bytes));
        if (!block) return FormatErrc::compression_failed;
        MILEPOST_TRY(unpack_snappy_block(*block, room));
    }
    return {};
}

// What a frame says about itself is believed as far as bytes of that length may well unpack to it.
std::size_t first_room(Codec codec, Bytes from) {
    if (codec != Codec::zstd) return guess(from);
    const auto said = ::ZSTD_getFrameContentSize(from.data(), from.size());
    if (said == ZSTD_CONTENTSIZE_ERROR || said == ZSTD_CONTENTSIZE_UNKNOWN) return guess(from);
    constexpr std::size_t ratio_usual_max = 64;
    return static_cast<std::size_t>(
        std::min<std::uint64_t>(said, std::max(64 * kib, ratio_usual_max * from.size()))
    );
}

Result<void> unpack(Codec codec, Bytes from, std::size_t limit_bytes, Room& room) {
    switch (codec) {
        case Codec::gzip: return unpack_gzip(from, room);
        case Codec::lz4: return unpack_lz4(from, room);
        case Codec::zstd: return unpack_zstd(from, limit_bytes, room);
        case Codec::snappy: return unpack_snappy(from, room);
        case Codec::none: break;
    }
    return FormatErrc::unsupported_codec;
}

}  // namespace

Result<void> compress(Codec codec, Bytes from, Buffer& to) {
    switch (codec) {
        case Codec::none: append_bytes(to, from); return {};
        case Codec::lz4: return compress_lz4(from, to);
        case Codec::zstd: return compress_zstd(from, to);
        case Codec::gzip:
        case Codec::snappy: break;
    }
    return FormatErrc::unsupported_codec;
}

Result<void> decompress(Codec codec, Bytes from, std::size_t limit_bytes, Buffer& to) {
    if (codec == Codec::none) {
        if (from.size() > limit_bytes) return FormatErrc::too_large;
        append_bytes(to, from);
        return {};
    }
    Room room{to, limit_bytes, first_room(codec, from)};
    auto unpacked = unpack(codec, from, limit_bytes, room);
    if (unpacked) {
        room.keep();
    } else {
        room.drop();
    }
    return unpacked;
}

}  // namespace milepost::storage
