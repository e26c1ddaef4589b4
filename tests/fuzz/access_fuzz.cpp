// Any bytes are a password file or an access list, or are refused. What a rule grants to a filter
// it grants to every topic of that filter, and never to a name that was chosen for it.
#include "gateway/access/acl.hpp"
#include "gateway/access/password_file.hpp"
#include "gateway/mqtt/topic_filter.hpp"
#include "storage/base/check.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace {

using namespace milepost;
using namespace milepost::access;

// The part of the input up to the next zero byte.
std::string_view take_text(std::string_view& input) {
    const auto end = input.find('\0');
    const std::string_view text = input.substr(0, end);
    input.remove_prefix(end == std::string_view::npos ? input.size() : end + 1);
    return text;
}

void check_passwords(std::string_view text) {
    const auto parsed = PasswordFile::parse(text);
    if (!std::holds_alternative<PasswordFile>(parsed)) return;
    const auto& file = std::get<PasswordFile>(parsed);
    MILEPOST_CHECK(is_affordable(file.usual_cost()));
    const std::string_view user = text.substr(0, text.find(':'));
    const PasswordEntry* entry = file.find(user);
    if (entry == nullptr) return;
    const auto again = PasswordFile::parse(entry_line(user, *entry));
    MILEPOST_CHECK(std::holds_alternative<PasswordFile>(again));
    MILEPOST_CHECK(*std::get<PasswordFile>(again).find(user) == *entry);
}

void check_rules(std::string_view input) {
    const auto parsed = Acl::parse(take_text(input));
    const Identity who{take_text(input), take_text(input)};
    const std::string_view rule = take_text(input);
    const std::string_view filter = take_text(input);
    const std::string_view topic = take_text(input);
    if (!mqtt::is_topic_filter(filter) || !mqtt::is_topic_name(topic)) return;
    if (const auto* acl = std::get_if<Acl>(&parsed)) {
        const bool is_matched = mqtt::matches(filter, topic);
        if (is_matched && acl->may_subscribe(who, filter)) {
            MILEPOST_CHECK(acl->may_receive(who, topic));
        }
        static_cast<void>(acl->may_publish(who, topic));
    }
    if (!mqtt::is_topic_filter(rule)) return;
    const bool covers = rule_covers(rule, who, filter);
    const bool is_match = rule_matches(rule, who, topic);
    if (mqtt::matches(filter, topic)) {
        MILEPOST_CHECK(!covers || is_match);
        MILEPOST_CHECK(!is_match || rule_touches(rule, who, filter));
    }
    // Without a pattern it is MQTT's own matching.
    const bool has_pattern = rule.find("%c") != std::string_view::npos ||
                             rule.find("%u") != std::string_view::npos;
    MILEPOST_CHECK(has_pattern || is_match == mqtt::matches(rule, topic));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input{reinterpret_cast<const char*>(data), size};
    check_passwords(input);
    check_rules(input);
    return 0;
}
