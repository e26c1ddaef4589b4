#include "storage/journal/errc.hpp"

#include <catch2/catch.hpp>

#include <set>
#include <string>

using namespace milepost;
using namespace milepost::storage;

TEST_CASE("journal errors: each has its own message", "[journal]") {
    std::set<std::string> messages;
    for (int value = 1; value <= 8; ++value) {
        messages.insert(make_error_code(static_cast<JournalErrc>(value)).message());
    }
    CHECK(messages.size() == 8);
    CHECK_FALSE(messages.contains("unknown journal error"));
    CHECK(
        make_error_code(JournalErrc::poisoned).category().name() == std::string{"milepost.journal"}
    );
}
