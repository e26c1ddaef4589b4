#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace milepost {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;
using Buffer = std::vector<std::byte>;

[[nodiscard]] inline Bytes as_bytes(std::string_view text) {
    return std::as_bytes(std::span{text.data(), text.size()});
}

[[nodiscard]] inline std::string_view as_text(Bytes bytes) {
    // Any object may be looked at as char.
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

[[nodiscard]] inline bool same_bytes(Bytes left, Bytes right) {
    return as_text(left) == as_text(right);
}

inline void append_bytes(Buffer& buffer, Bytes bytes) {
    buffer.insert(buffer.end(), bytes.begin(), bytes.end());
}

// Fixed-width integers at any alignment. Kafka's formats and MQTT are big-endian; the journal is
// little-endian. Compilers turn each of these into one load or store and at most one byte swap.
template <std::integral T>
[[nodiscard]] constexpr T load_big(const std::byte* from) {
    using Unsigned = std::make_unsigned_t<T>;
    Unsigned value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        value = static_cast<Unsigned>(
            (static_cast<std::uint64_t>(value) << 8U) | std::to_integer<std::uint64_t>(from[i])
        );
    }
    return static_cast<T>(value);
}

template <std::integral T>
[[nodiscard]] constexpr T load_little(const std::byte* from) {
    using Unsigned = std::make_unsigned_t<T>;
    Unsigned value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        value = static_cast<Unsigned>(
            value | static_cast<Unsigned>(std::to_integer<std::uint64_t>(from[i]) << (8U * i))
        );
    }
    return static_cast<T>(value);
}

template <std::integral T>
constexpr void store_big(std::byte* to, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        const auto shift = 8U * (sizeof(T) - 1 - i);
        to[i] = static_cast<std::byte>(static_cast<std::make_unsigned_t<T>>(value) >> shift);
    }
}

template <std::integral T>
constexpr void store_little(std::byte* to, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        to[i] = static_cast<std::byte>(static_cast<std::make_unsigned_t<T>>(value) >> (8U * i));
    }
}

// Reads forward through bytes it does not own. Every read past the end gives nullopt and leaves the
// reader where it was: torn and hostile input is an expected event.
class ByteReader {
public:
    explicit ByteReader(Bytes bytes)
        : rest_(bytes) {}

    [[nodiscard]] std::size_t remaining() const { return rest_.size(); }

    [[nodiscard]] Bytes rest() const { return rest_; }

    template <std::integral T>
    [[nodiscard]] std::optional<T> big() {
        if (rest_.size() < sizeof(T)) return std::nullopt;
        const T value = load_big<T>(rest_.data());
        rest_ = rest_.subspan(sizeof(T));
        return value;
    }

    template <std::integral T>
    [[nodiscard]] std::optional<T> little() {
        if (rest_.size() < sizeof(T)) return std::nullopt;
        const T value = load_little<T>(rest_.data());
        rest_ = rest_.subspan(sizeof(T));
        return value;
    }

    [[nodiscard]] std::optional<Bytes> bytes(std::size_t count) {
        if (rest_.size() < count) return std::nullopt;
        const Bytes taken = rest_.first(count);
        rest_ = rest_.subspan(count);
        return taken;
    }

private:
    Bytes rest_;
};

template <std::integral T>
void append_big(Buffer& buffer, T value) {
    const std::size_t at = buffer.size();
    buffer.resize(at + sizeof(T));
    store_big(buffer.data() + at, value);
}

template <std::integral T>
void append_little(Buffer& buffer, T value) {
    const std::size_t at = buffer.size();
    buffer.resize(at + sizeof(T));
    store_little(buffer.data() + at, value);
}

}  // namespace milepost
