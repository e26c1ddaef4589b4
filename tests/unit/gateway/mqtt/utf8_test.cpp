// Holds MQTT-1.5.4-1, -2, -3 (3.1.1: MQTT-1.5.3-1, -2, -3).
#include "gateway/mqtt/utf8.hpp"

#include <catch2/catch.hpp>

#include <cstdint>
#include <string>

namespace milepost::mqtt {
namespace {

using namespace std::string_literals;

// What the standard's encoder makes of a code point, surrogates and beyond included.
std::string encoded(std::uint32_t point) {
    const auto tail = [point](unsigned shift) {
        return static_cast<char>(0x80U | ((point >> shift) & 0x3FU));
    };
    if (point < 0x80) return {static_cast<char>(point)};
    if (point < 0x800) return {static_cast<char>(0xC0U | (point >> 6U)), tail(0)};
    if (point < 0x10000) return {static_cast<char>(0xE0U | (point >> 12U)), tail(6), tail(0)};
    return {static_cast<char>(0xF0U | (point >> 18U)), tail(12), tail(6), tail(0)};
}

TEST_CASE("utf8: every code point passes but U+0000 and the surrogates", "[mqtt]") {
    std::uint32_t wrong = 0;
    for (std::uint32_t point = 0; point < 0x110400; ++point) {
        const bool is_surrogate = point >= 0xD800 && point <= 0xDFFF;
        const bool is_allowed = point != 0 && !is_surrogate && point <= 0x10FFFF;
        if (is_utf8(encoded(point)) != is_allowed) ++wrong;
    }
    CHECK(wrong == 0);
}

TEST_CASE("utf8: overlong forms, stray and missing tails are refused", "[mqtt]") {
    for (const std::string& text :
         {"\xC0\x80"s,
          "\xC1\xBF"s,
          "\xE0\x9F\xBF"s,
          "\xF0\x8F\xBF\xBF"s,
          "\x80"s,
          "\xC3"s,
          "\xE2\x82"s,
          "\xF0\x9F\x98"s,
          "\xC3("s,
          "\xE2\x82("s,
          "\xF0\x9F\x98("s,
          "\xF5\x80\x80\x80"s,
          "\xFF"s}) {
        CHECK_FALSE(is_utf8(text));
    }
}

TEST_CASE("utf8: a flaw is found at any place of a long string", "[mqtt]") {
    for (std::size_t length = 0; length < 40; ++length) {
        std::string text(length, 'a');
        CHECK(is_utf8(text));
        for (std::size_t at = 0; at < length; ++at) {
            for (const char flaw : {'\0', '\x80', '\xFF'}) {
                std::string flawed = text;
                flawed[at] = flaw;
                CHECK_FALSE(is_utf8(flawed));
            }
        }
    }
}

TEST_CASE("utf8: a byte order mark is a character as any other", "[mqtt]") {
    CHECK(is_utf8("\xEF\xBB\xBFvehicle"));
}

}  // namespace
}  // namespace milepost::mqtt
