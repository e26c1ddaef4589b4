#include "gateway/mqtt/errc.hpp"

#include <catch2/catch.hpp>

#include <set>
#include <string>

namespace milepost::mqtt {
namespace {

constexpr int last_code = static_cast<int>(Errc::closed_by_owner);

TEST_CASE("errc: every code has words of its own and a reason of MQTT's", "[mqtt]") {
    std::set<std::string> texts;
    int known = 0;
    for (int value = 0; value <= last_code; ++value) {
        const auto code = static_cast<Errc>(value);
        const std::string text = text_of(code);
        if (text == "unknown error") continue;
        ++known;
        texts.insert(text);
        const bool is_harmless = code == Errc::none || code == Errc::client_disconnected;
        CHECK(is_failure(reason_of(code)) != is_harmless);
    }
    CHECK(known == 37);
    CHECK(texts.size() == 37);
}

TEST_CASE("errc: is an error code with a category", "[mqtt]") {
    const ErrorCode code = Errc::bad_utf8;
    CHECK(code.category() == mqtt_category());
    CHECK(code.message() == text_of(Errc::bad_utf8));
    CHECK(std::string{code.category().name()} == "mqtt");
    CHECK_FALSE(ErrorCode{Errc::none}.failed());
}

}  // namespace
}  // namespace milepost::mqtt
