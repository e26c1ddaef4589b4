#pragma once

#include "gateway/mqtt/errc.hpp"
#include "gateway/mqtt/utf8.hpp"
#include "storage/base/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace milepost::mqtt {

// Reads MQTT's data types (5.0, section 1.5) forward through a packet's body. The first error
// stays: from then on every read gives 0 or nothing, so that a packet is read field by field and
// asked for its error once, before a value decides anything.
class WireReader {
public:
    explicit WireReader(Bytes bytes)
        : rest_(bytes) {}

    [[nodiscard]] Errc error() const { return error_; }

    [[nodiscard]] Bytes rest() const { return rest_; }

    std::uint8_t byte() { return integer<std::uint8_t>(); }

    std::uint16_t two_bytes() { return integer<std::uint16_t>(); }

    std::uint32_t four_bytes() { return integer<std::uint32_t>(); }

    // Up to four bytes, in the shortest form (MQTT-1.5.5-1).
    std::uint32_t variable_int() {
        std::uint32_t value = 0;
        for (std::size_t i = 0; i < 4; ++i) {
            if (rest_.size() <= i) break;
            const auto next = std::to_integer<std::uint32_t>(rest_[i]);
            value |= (next & 0x7FU) << (7 * i);
            if (next >= 0x80) continue;
            if (i > 0 && next == 0) return fail(Errc::malformed_length);
            rest_ = rest_.subspan(i + 1);
            return value;
        }
        return fail(rest_.size() < 4 ? Errc::short_packet : Errc::malformed_length);
    }

    Bytes binary() { return take(two_bytes()); }

    std::string_view text() {
        const std::string_view text = as_text(binary());
        if (is_utf8(text)) return text;
        fail(Errc::bad_utf8);
        return {};
    }

    // A block of properties with its length in front.
    Bytes properties() { return take(variable_int()); }

    Bytes take(std::size_t count) {
        if (rest_.size() < count) {
            fail(Errc::short_packet);
            return {};
        }
        const Bytes taken = rest_.first(count);
        rest_ = rest_.subspan(count);
        return taken;
    }

    std::uint8_t fail(Errc why) {
        if (error_ == Errc::none) error_ = why;
        rest_ = {};
        return 0;
    }

private:
    template <class T>
    T integer() {
        if (rest_.size() < sizeof(T)) return fail(Errc::short_packet);
        const T value = load_big<T>(rest_.data());
        rest_ = rest_.subspan(sizeof(T));
        return value;
    }

    Bytes rest_;
    Errc error_ = Errc::none;
};

}  // namespace milepost::mqtt
