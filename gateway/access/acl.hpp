#pragma once

#include "gateway/access/identity.hpp"
#include "storage/base/units.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace milepost::access {

// Something that is wrong in a file of ours; `line` counts from 1.
struct FileProblem {
    std::size_t line = 0;
    std::string what;
};

// Who may publish where and subscribe to what. The file, one rule a line, `#` begins a comment at
// the start of a line:
//
//     write vehicles/%c/#        for everybody: rules before the first `user` or `client` line
//     user depot                 from here on for this user only
//     both #
//     deny read secrets/#
//     client V0001               from here on for this client id only
//     read fleet/+/cmd
//     everybody                  from here on for everybody again
//
// `read` is to subscribe and to receive, `write` to publish, `both` is both. The filter is the rest
// of the line; a whole level `%c` stands for the client id, `%u` for the user. A level that would
// become empty, hold `/`, `+` or `#`, or begin the topic with `$`, matches nothing, so that nobody
// gets rights by the choice of a name. What no rule allows is refused, and `deny` goes before every
// `allow`, whatever the order of the lines. As in MQTT a leading wildcard does not match `$…`.
//
// Immutable after parse(): any thread may ask. Pure.
class Acl {
public:
    static constexpr std::size_t file_bytes_max = 1 * mib;
    static constexpr std::size_t rules_max = 20'000;

    // At most a screenful of problems.
    static std::variant<Acl, std::vector<FileProblem>> parse(std::string_view text);

    // `topic` is a valid topic name.
    [[nodiscard]] bool may_publish(const Identity& who, std::string_view topic) const;
    // Whether one allowing rule covers all of the (valid) filter and no denying rule touches it: a
    // subscription that is granted holds for every topic that it matches.
    [[nodiscard]] bool may_subscribe(const Identity& who, std::string_view filter) const;
    // Whether a message of this topic may go to somebody who has subscribed already: the rules may
    // have changed since.
    [[nodiscard]] bool may_receive(const Identity& who, std::string_view topic) const;

private:
    using Access = std::uint8_t;
    static constexpr Access read = 1;
    static constexpr Access write = 2;
    static constexpr Access both = read | write;

    struct Rule {
        std::string filter;
        Access access = 0;
        bool denies = false;
    };

    using Rules = std::vector<Rule>;
    using RulesByName = std::map<std::string, Rules, std::less<>>;

    class Parser;

    template <class Matches>
    [[nodiscard]] bool ask(const Identity& who, Access access, Matches matches) const;

    Rules everybody_;
    RulesByName users_;
    RulesByName clients_;
};

// The pieces of the above, with the patterns' names filled in.

// Whether the rule's filter matches the topic.
[[nodiscard]] bool rule_matches(std::string_view rule, const Identity& who, std::string_view topic);
// Whether every topic that `filter` matches is matched by the rule too.
[[nodiscard]] bool rule_covers(std::string_view rule, const Identity& who, std::string_view filter);
// Whether some topic may be matched by both.
[[nodiscard]] bool rule_touches(
    std::string_view rule,
    const Identity& who,
    std::string_view filter
);

}  // namespace milepost::access
