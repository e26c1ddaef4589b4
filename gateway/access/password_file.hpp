#pragma once

#include "gateway/access/acl.hpp"
#include "gateway/access/scrypt.hpp"
#include "storage/base/units.hpp"

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace milepost::access {

inline constexpr std::size_t password_bytes_max = 1024;

// What is kept of a password.
struct PasswordEntry {
    ScryptCost cost;
    Salt salt{};
    DerivedKey key{};
    bool is_disabled = false;  // the user is known and never let in

    friend bool operator==(const PasswordEntry&, const PasswordEntry&) = default;
};

// The users and their passwords, one a line, as `milepost passwd` writes it:
//
//     depot:$scrypt$ln=14,r=8,p=1$<salt>$<key>      PHC string format; base64 without padding
//     stolen:!                                      never let in, whatever vouches for it
//
// Lines that begin with `#` are comments. Immutable after parse(): any thread may ask. Pure.
class PasswordFile {
public:
    static constexpr std::size_t file_bytes_max = 4 * mib;
    static constexpr std::size_t users_max = 20'000;

    static std::variant<PasswordFile, std::vector<FileProblem>> parse(std::string_view text);

    // nullptr: nobody of that name.
    [[nodiscard]] const PasswordEntry* find(std::string_view user) const;

    [[nodiscard]] std::size_t size() const { return users_.size(); }

    // The highest cost in the file (the default one if it is empty): what a verification of a user
    // that is not there must take as well, so that its time does not tell.
    [[nodiscard]] const ScryptCost& usual_cost() const { return usual_cost_; }

private:
    std::map<std::string, PasswordEntry, std::less<>> users_;
    ScryptCost usual_cost_;
};

// Why it cannot be a user in a password file; empty: it can.
[[nodiscard]] std::string_view user_problem(std::string_view user);

// A new entry with a salt of its own. nullopt: no memory for the cost.
[[nodiscard]] std::optional<PasswordEntry> make_entry(Bytes password, const ScryptCost& cost);

// Its line, without the end of line.
[[nodiscard]] std::string entry_line(std::string_view user, const PasswordEntry& entry);

}  // namespace milepost::access
