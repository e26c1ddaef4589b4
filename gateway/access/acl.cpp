#include "gateway/access/acl.hpp"

#include "gateway/access/text_lines.hpp"
#include "gateway/mqtt/topic_filter.hpp"
#include "gateway/mqtt/utf8.hpp"

#include <utility>

namespace milepost::access {

namespace {

// Walks the levels of a topic name or filter.
class Levels {
public:
    explicit Levels(std::string_view text)
        : rest_(text) {
        take();
    }

    [[nodiscard]] bool is_done() const { return is_done_; }

    [[nodiscard]] bool is_first() const { return is_first_; }

    [[nodiscard]] std::string_view operator*() const { return level_; }

    void next() {
        is_first_ = false;
        if (!has_more_) {
            is_done_ = true;
            return;
        }
        take();
    }

private:
    void take() {
        const auto slash = rest_.find('/');
        has_more_ = slash != std::string_view::npos;
        level_ = rest_.substr(0, slash);
        rest_.remove_prefix(has_more_ ? slash + 1 : rest_.size());
    }

    std::string_view rest_;
    std::string_view level_;
    bool has_more_ = false;
    bool is_done_ = false;
    bool is_first_ = true;
};

// A level of a rule with its name filled in; `is_dead` matches nothing.
struct RuleLevel {
    std::string_view text;
    bool is_dead = false;
};

RuleLevel filled(const Levels& levels, const Identity& who) {
    const std::string_view text = *levels;
    if (text != "%c" && text != "%u") return {text};
    const std::string_view name = text == "%c" ? who.client_id : who.user;
    const bool is_dead = name.empty() || name.find_first_of("/+#") != std::string_view::npos ||
                         (levels.is_first() && name.starts_with('$'));
    return {name, is_dead};
}

bool is_wildcard(std::string_view level) {
    return level == "+" || level == "#";
}

bool has_dead_level(Levels levels, const Identity& who) {
    for (; !levels.is_done(); levels.next()) {
        if (filled(levels, who).is_dead) return true;
    }
    return false;
}

// `#` means the rest, so patterns are whole levels only: what else has a `%` is a mistake or a
// name.
bool has_pattern_inside(std::string_view filter) {
    for (Levels levels{filter}; !levels.is_done(); levels.next()) {
        const std::string_view level = *levels;
        if (level.size() == 2) continue;
        if (level.find("%c") != std::string_view::npos) return true;
        if (level.find("%u") != std::string_view::npos) return true;
    }
    return false;
}

}  // namespace

class Acl::Parser {
public:
    std::variant<Acl, std::vector<FileProblem>> parse(std::string_view text) {
        if (text.size() > file_bytes_max) {
            return std::vector<FileProblem>{{1, "the file is longer than 1 MiB"}};
        }
        TextLines lines{text};
        while (const auto line = lines.next()) {
            number_ = lines.number();
            take(*line);
            if (problems_.size() >= problems_max) break;
        }
        if (!problems_.empty()) return std::move(problems_);
        return std::move(acl_);
    }

private:
    void take(std::string_view line) {
        const auto [word, rest] = first_word(line);
        if (word == "everybody") {
            if (!rest.empty()) return complain("nothing stands behind `everybody`");
            rules_ = &acl_.everybody_;
        } else if (word == "user") {
            begin(acl_.users_, rest, user_bytes_max);
        } else if (word == "client") {
            begin(acl_.clients_, rest, client_id_bytes_max);
        } else if (word == "deny") {
            const auto [access, filter] = first_word(rest);
            take_rule(access, filter, /*denies=*/true);
        } else {
            take_rule(word, rest, /*denies=*/false);
        }
    }

    void begin(RulesByName& names, std::string_view name, std::size_t bytes_max) {
        if (name.empty()) return complain("a name is missing");
        if (name.size() > bytes_max) return complain("the name is too long");
        if (!mqtt::is_utf8(name)) return complain("the name is no UTF-8");
        rules_ = &names[std::string{name}];
    }

    void take_rule(std::string_view word, std::string_view filter, bool denies) {
        const Access access = word == "read"    ? read
                              : word == "write" ? write
                              : word == "both"  ? both
                                                : Access{0};
        if (access == 0) {
            return complain(
                "want read, write or both (deny … too), user, client or everybody at the start"
            );
        }
        if (filter.size() > filter_bytes_max) return complain("the filter is too long");
        if (!mqtt::is_topic_filter(filter)) return complain("no MQTT topic filter");
        if (has_pattern_inside(filter)) return complain("%c and %u stand for whole levels only");
        if (++rule_count_ > rules_max) return complain("more than 20000 rules");
        rules_->push_back({std::string{filter}, access, denies});
    }

    void complain(std::string what) { problems_.push_back({number_, std::move(what)}); }

    static constexpr std::size_t client_id_bytes_max = 0xFFFF;
    static constexpr std::size_t filter_bytes_max = 0xFFFF;

    Acl acl_;
    Rules* rules_ = &acl_.everybody_;
    std::vector<FileProblem> problems_;
    std::size_t number_ = 0;
    std::size_t rule_count_ = 0;
};

std::variant<Acl, std::vector<FileProblem>> Acl::parse(std::string_view text) {
    return Parser{}.parse(text);
}

// Calls for the rules that are about `who`, everybody's first, until one says so.
template <class Matches>
bool Acl::ask(const Identity& who, Access access, Matches matches) const {
    bool is_allowed = false;
    const auto look_at = [&](const Rules& rules) {
        for (const Rule& rule : rules) {
            if ((rule.access & access) == 0 || (is_allowed && !rule.denies)) continue;
            if (!matches(rule)) continue;
            if (rule.denies) return false;
            is_allowed = true;
        }
        return true;
    };
    const auto look_up = [&](const RulesByName& names, std::string_view name) {
        if (name.empty() || names.empty()) return true;
        const auto found = names.find(name);
        return found == names.end() || look_at(found->second);
    };
    return look_at(everybody_) && look_up(users_, who.user) && look_up(clients_, who.client_id) &&
           is_allowed;
}

bool Acl::may_publish(const Identity& who, std::string_view topic) const {
    return ask(who, write, [&](const Rule& rule) { return rule_matches(rule.filter, who, topic); });
}

bool Acl::may_receive(const Identity& who, std::string_view topic) const {
    return ask(who, read, [&](const Rule& rule) { return rule_matches(rule.filter, who, topic); });
}

bool Acl::may_subscribe(const Identity& who, std::string_view filter) const {
    return ask(who, read, [&](const Rule& rule) {
        return rule.denies ? rule_touches(rule.filter, who, filter)
                           : rule_covers(rule.filter, who, filter);
    });
}

bool rule_matches(std::string_view rule, const Identity& who, std::string_view topic) {
    return rule_covers(rule, who, topic);  // a name is a filter that matches one topic
}

bool rule_covers(std::string_view rule, const Identity& who, std::string_view filter) {
    Levels wanted{rule};
    Levels asked{filter};
    if (is_wildcard(*wanted) && filter.starts_with('$')) return false;
    for (;; wanted.next(), asked.next()) {
        if (wanted.is_done()) return asked.is_done();
        if (*wanted == "#") return true;
        if (asked.is_done()) return false;
        const RuleLevel level = filled(wanted, who);
        if (level.is_dead || *asked == "#") return false;
        const bool fits = *wanted == "+" || (level.text == *asked && *asked != "+");
        if (!fits) return false;
    }
}

bool rule_touches(std::string_view rule, const Identity& who, std::string_view filter) {
    Levels wanted{rule};
    Levels asked{filter};
    if (is_wildcard(*wanted) && filter.starts_with('$')) return false;
    if (is_wildcard(*asked) && rule.starts_with('$')) return false;
    for (;; wanted.next(), asked.next()) {
        const bool rule_takes_rest = !wanted.is_done() && *wanted == "#";
        const bool filter_takes_rest = !asked.is_done() && *asked == "#";
        if (rule_takes_rest || filter_takes_rest) return !has_dead_level(wanted, who);
        if (wanted.is_done() || asked.is_done()) return wanted.is_done() && asked.is_done();
        const RuleLevel level = filled(wanted, who);
        if (level.is_dead) return false;
        if (*wanted != "+" && *asked != "+" && level.text != *asked) return false;
    }
}

}  // namespace milepost::access
