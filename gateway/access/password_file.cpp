#include "gateway/access/password_file.hpp"

#include "gateway/access/text_lines.hpp"
#include "gateway/mqtt/utf8.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace milepost::access {

namespace {

constexpr std::string_view scheme = "$scrypt$";
constexpr std::string_view digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr unsigned digit_bits = 6;

// Base64 (RFC 4648) without padding.
std::string encode(Bytes bytes) {
    std::string text;
    std::uint32_t bits = 0;
    unsigned count = 0;
    for (const std::byte byte : bytes) {
        bits = bits << 8U | std::to_integer<std::uint32_t>(byte);
        for (count += 8; count >= digit_bits; count -= digit_bits) {
            text += digits[bits >> (count - digit_bits) & 0x3FU];
        }
    }
    if (count > 0) text += digits[bits << (digit_bits - count) & 0x3FU];
    return text;
}

// Exactly as many bytes as there is room for; what is left over of the last digit must be zero, so
// that one value has one spelling.
bool decode(std::string_view text, MutableBytes bytes) {
    if (text.size() != (bytes.size() * 8 + digit_bits - 1) / digit_bits) return false;
    std::uint32_t bits = 0;
    unsigned count = 0;
    std::size_t at = 0;
    for (const char c : text) {
        const auto digit = digits.find(c);
        if (digit == std::string_view::npos) return false;
        bits = bits << digit_bits | static_cast<std::uint32_t>(digit);
        count += digit_bits;
        if (count >= 8) {
            count -= 8;
            bytes[at++] = static_cast<std::byte>(bits >> count & 0xFFU);
        }
    }
    return at == bytes.size() && (bits & ((1U << count) - 1)) == 0;
}

// Takes `name=number,` off the front; the comma is not there behind the last one.
template <class T>
bool take_number(std::string_view& text, std::string_view name, T& number) {
    if (!text.starts_with(name)) return false;
    text.remove_prefix(name.size());
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failed != std::errc{}) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (text.starts_with(',')) text.remove_prefix(1);
    return true;
}

std::optional<ScryptCost> parse_cost(std::string_view text) {
    ScryptCost cost;
    const bool is_cost = take_number(text, "ln=", cost.log2_n) && take_number(text, "r=", cost.r) &&
                         take_number(text, "p=", cost.p) && text.empty();
    if (!is_cost) return std::nullopt;
    return cost;
}

// The entry, or what is wrong with it.
std::variant<PasswordEntry, std::string_view> parse_entry(std::string_view text) {
    PasswordEntry entry;
    if (text == "!") {
        entry.is_disabled = true;
        return entry;
    }
    if (!text.starts_with(scheme)) return "want $scrypt$… or ! behind the colon";
    text.remove_prefix(scheme.size());
    const auto salt_at = text.find('$');
    const auto key_at = salt_at == std::string_view::npos ? salt_at : text.find('$', salt_at + 1);
    if (key_at == std::string_view::npos) return "want $scrypt$ln=…,r=…,p=…$salt$key";
    const auto cost = parse_cost(text.substr(0, salt_at));
    if (!cost) return "want ln=…,r=…,p=… behind $scrypt$";
    if (!is_affordable(*cost)) return "this cost is outside the limits (ln 10 to 16, 64 MiB)";
    entry.cost = *cost;
    if (!decode(text.substr(salt_at + 1, key_at - salt_at - 1), entry.salt)) {
        return "the salt is not 16 bytes in base64";
    }
    if (!decode(text.substr(key_at + 1), entry.key)) return "the key is not 32 bytes in base64";
    return entry;
}

bool costs_more(const ScryptCost& left, const ScryptCost& right) {
    const auto work = [](const ScryptCost& cost) {
        return (std::uint64_t{cost.r} * cost.p) << cost.log2_n;
    };
    return work(left) > work(right);
}

}  // namespace

std::variant<PasswordFile, std::vector<FileProblem>> PasswordFile::parse(std::string_view text) {
    if (text.size() > file_bytes_max) {
        return std::vector<FileProblem>{{1, "the file is longer than 4 MiB"}};
    }
    PasswordFile file;
    std::vector<FileProblem> problems;
    std::optional<ScryptCost> highest;
    TextLines lines{text};
    while (const auto line = lines.next()) {
        if (problems.size() >= problems_max) break;
        const auto complain = [&](std::string_view what) {
            problems.push_back({lines.number(), std::string{what}});
        };
        const auto colon = line->find(':');
        if (colon == std::string_view::npos) {
            complain("want user:$scrypt$…");
            continue;
        }
        const std::string_view user = line->substr(0, colon);
        if (const auto problem = user_problem(user); !problem.empty()) {
            complain(problem);
            continue;
        }
        const auto parsed = parse_entry(line->substr(colon + 1));
        if (const auto* problem = std::get_if<std::string_view>(&parsed)) {
            complain(*problem);
            continue;
        }
        const auto& entry = std::get<PasswordEntry>(parsed);
        if (!file.users_.emplace(user, entry).second) complain("this user has a line above");
        if (file.users_.size() > users_max) {
            complain("more than 20000 users");
            break;
        }
        if (entry.is_disabled) continue;
        if (!highest || costs_more(entry.cost, *highest)) highest = entry.cost;
    }
    if (!problems.empty()) return problems;
    file.usual_cost_ = highest.value_or(ScryptCost{});
    return file;
}

const PasswordEntry* PasswordFile::find(std::string_view user) const {
    const auto found = users_.find(user);
    return found == users_.end() ? nullptr : &found->second;
}

std::string_view user_problem(std::string_view user) {
    if (user.empty()) return "the user has no name";
    if (user.size() > user_bytes_max) return "the user's name is longer than 256 bytes";
    if (!mqtt::is_utf8(user)) return "the user's name is no UTF-8";
    const bool has_control = std::ranges::any_of(user, [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
    });
    if (has_control || user.find(':') != std::string_view::npos) {
        return "a user's name has no colon and no control character";
    }
    if (user.front() == '#' || trimmed(user) != user) {
        return "a user's name does not begin with # nor have blanks around it";
    }
    return {};
}

std::optional<PasswordEntry> make_entry(Bytes password, const ScryptCost& cost) {
    PasswordEntry entry{cost, {}, {}, false};
    fill_random(entry.salt);
    const auto key = scrypt(password, entry.salt, cost);
    if (!key) return std::nullopt;
    entry.key = *key;
    return entry;
}

std::string entry_line(std::string_view user, const PasswordEntry& entry) {
    std::string line{user};
    if (entry.is_disabled) return line + ":!";
    line += ':';
    line += scheme;
    line += "ln=" + std::to_string(entry.cost.log2_n) + ",r=" + std::to_string(entry.cost.r) +
            ",p=" + std::to_string(entry.cost.p);
    return line + '$' + encode(entry.salt) + '$' + encode(entry.key);
}

}  // namespace milepost::access
