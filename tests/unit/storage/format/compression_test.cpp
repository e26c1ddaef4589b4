#include "storage/format/compression.hpp"

#include "storage/base/units.hpp"
#include "storage/format/errc.hpp"
#include "tests/support/matchers.hpp"

#include <catch2/catch.hpp>
#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include <string>

using namespace milepost;
using namespace milepost::storage;

namespace {

std::string telemetry(std::size_t bytes) {
    std::string text;
    for (unsigned i = 0; text.size() < bytes; ++i) {
        text += "{\"vehicle\":\"V" + std::to_string(i % 97) + "\",\"speed\":" + std::to_string(i) +
                "}";
    }
    text.resize(bytes);
    return text;
}

// Each byte from the last one: nothing to gain for a codec.
std::string noise(std::size_t bytes) {
    std::string text;
    std::uint32_t state = 1;
    while (text.size() < bytes) {
        state = state * 1664525U + 1013904223U;
        text.push_back(static_cast<char>(state >> 24U));
    }
    return text;
}

Buffer gzip(std::string_view text) {
    z_stream stream{};
    // deflateInit2 is a macro with a C cast inside; the function behind it is the same.
    REQUIRE(
        deflateInit2_(
            &stream,
            6,
            Z_DEFLATED,
            15 + 16,
            8,
            Z_DEFAULT_STRATEGY,
            ZLIB_VERSION,
            sizeof stream
        ) == Z_OK
    );
    Buffer out(text.size() + 1024);
    std::string copy{text};
    stream.next_in = reinterpret_cast<Bytef*>(copy.data());
    stream.avail_in = static_cast<uInt>(copy.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    out.resize(out.size() - stream.avail_out);
    deflateEnd(&stream);
    return out;
}

Buffer snappy(std::string_view text) {
    std::size_t bytes = snappy_max_compressed_length(text.size());
    Buffer out(bytes);
    auto* to = reinterpret_cast<char*>(out.data());
    REQUIRE(snappy_compress(text.data(), text.size(), to, &bytes) == SNAPPY_OK);
    out.resize(bytes);
    return out;
}

Buffer packed(Codec codec, std::string_view text) {
    if (codec == Codec::gzip) return gzip(text);
    if (codec == Codec::snappy) return snappy(text);
    Buffer out;
    REQUIRE(compress(codec, as_bytes(text), out));
    return out;
}

}  // namespace

TEST_CASE("compression: what goes in comes out", "[compression]") {
    const auto codec = GENERATE(Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd);
    const auto bytes = GENERATE(as<std::size_t>{}, 0, 1, 100, 65536, 65537, 3000000);
    for (const std::string& text : {telemetry(bytes), noise(bytes)}) {
        Buffer out{std::byte{'x'}};
        REQUIRE(decompress(codec, packed(codec, text), bytes, out));
        CHECK(as_text(Bytes{out}.subspan(1)) == text);
        CHECK(out.front() == std::byte{'x'});
    }
}

TEST_CASE("compression: one byte over the limit is too large", "[compression]") {
    const auto codec = GENERATE(Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd);
    const std::string text = telemetry(200000);
    Buffer out{std::byte{'x'}};
    const auto outcome = decompress(codec, packed(codec, text), text.size() - 1, out);
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error() == FormatErrc::too_large);
    CHECK(out.size() == 1);
}

TEST_CASE("compression: a bomb does not get more memory than the limit", "[compression]") {
    const auto codec = GENERATE(Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd);
    const Buffer bomb = packed(codec, std::string(32 * mib, '\0'));
    Buffer out;
    const auto outcome = decompress(codec, bomb, 64 * kib, out);
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error() == FormatErrc::too_large);
    CHECK(out.capacity() <= 128 * kib);
}

TEST_CASE("compression: a cut frame is refused at every cut", "[compression]") {
    const auto codec = GENERATE(Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd);
    const Buffer whole = packed(codec, telemetry(2000));
    for (std::size_t cut = 0; cut < whole.size(); ++cut) {
        Buffer out;
        CHECK_FALSE(decompress(codec, Bytes{whole}.first(cut), 1 * mib, out));
        CHECK(out.empty());
    }
}

TEST_CASE("compression: a zstd frame that does not say its size is unpacked", "[compression]") {
    const std::string text = telemetry(300000);
    ZSTD_CCtx* context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
    Buffer frame(ZSTD_compressBound(text.size()));
    frame.resize(ZSTD_compress2(context, frame.data(), frame.size(), text.data(), text.size()));
    ZSTD_freeCCtx(context);
    Buffer out;
    REQUIRE(decompress(Codec::zstd, frame, 1 * mib, out));
    CHECK(as_text(out) == text);
    out.clear();
    CHECK(decompress(Codec::zstd, frame, 100000, out).error() == FormatErrc::too_large);
}

TEST_CASE(
    "compression: our lz4 frames are of independent blocks and say their size",
    "[compression]"
) {
    const Buffer frame = packed(Codec::lz4, telemetry(200000));
    LZ4F_dctx* context = nullptr;
    LZ4F_createDecompressionContext(&context, LZ4F_VERSION);
    LZ4F_frameInfo_t info{};
    std::size_t bytes = frame.size();
    CHECK(LZ4F_isError(LZ4F_getFrameInfo(context, &info, frame.data(), &bytes)) == 0);
    LZ4F_freeDecompressionContext(context);
    CHECK(info.blockMode == LZ4F_blockIndependent);
    CHECK(info.contentSize == 200000);
}

TEST_CASE("compression: what is only read is not written", "[compression]") {
    const auto codec = GENERATE(Codec::gzip, Codec::snappy);
    Buffer out;
    CHECK(compress(codec, as_bytes("x"), out).error() == FormatErrc::unsupported_codec);
    CHECK(out.empty());
}

TEST_CASE("compression: snappy in the framing of Java's clients is unpacked", "[compression]") {
    using namespace std::string_view_literals;
    Buffer framed;
    append_bytes(framed, as_bytes("\x82SNAPPY\0\0\0\0\1\0\0\0\1"sv));
    for (const std::string_view text : {"one "sv, "two"sv}) {
        const Buffer block = snappy(text);
        append_big(framed, static_cast<std::int32_t>(block.size()));
        append_bytes(framed, block);
    }
    Buffer out;
    REQUIRE(decompress(Codec::snappy, framed, 7, out));
    CHECK(as_text(out) == "one two");
    out.clear();
    CHECK(decompress(Codec::snappy, framed, 6, out).error() == FormatErrc::too_large);
    framed.pop_back();
    CHECK_FALSE(decompress(Codec::snappy, framed, 7, out));
    CHECK(out.empty());
}
