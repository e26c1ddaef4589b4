#include "gateway/access/password_file.hpp"

#include "tests/unit/gateway/access/cheap.hpp"

#include <catch2/catch.hpp>

#include <string>

namespace milepost::access {

namespace {

std::vector<FileProblem> problems_of(std::string_view text) {
    auto parsed = PasswordFile::parse(text);
    if (auto* problems = std::get_if<std::vector<FileProblem>>(&parsed)) return *problems;
    return {};
}

std::string good_line(std::string_view user) {
    return entry_line(user, make_entry(as_bytes("secret"), cheap).value()) + "\n";
}

}  // namespace

TEST_CASE("password file: what was written is read again", "[access]") {
    const auto one = make_entry(as_bytes("secret"), cheap).value();
    const auto two = make_entry(as_bytes("secret"), {12, 8, 1}).value();
    CHECK(one.salt != two.salt);
    const std::string text = "# users\n\n" + entry_line("depot", one) + "\r\n" +
                             entry_line("Zoë $x", two) + "\nstolen:!\n";
    const auto parsed = PasswordFile::parse(text);
    REQUIRE(std::holds_alternative<PasswordFile>(parsed));
    const auto& file = std::get<PasswordFile>(parsed);
    CHECK(file.size() == 3);
    CHECK(*file.find("depot") == one);
    CHECK(*file.find("Zoë $x") == two);
    CHECK(file.find("stolen")->is_disabled);
    CHECK(file.find("Depot") == nullptr);
    CHECK(file.usual_cost() == ScryptCost{12, 8, 1});
}

TEST_CASE("password file: mistakes are named with their line, all at once", "[access]") {
    const std::string good = good_line("a");
    const std::string cut = good.substr(0, good.size() - 2) + "\n";
    std::string dear = good_line("d");
    dear.replace(dear.find("ln=10"), 5, "ln=30");
    std::string odd = good_line("o");
    odd.replace(odd.find(",p=1"), 4, ",p=1,x");
    const auto problems = problems_of(
        good + "no colon\n" + ":$scrypt$\n" + good + cut + dear + "b:plain\n" + odd +
        "c:$scrypt$ln=10,r=1,p=1$AA\n" + good_line("fine") + "\xff:!\n"
    );
    std::vector<std::size_t> lines;
    for (const auto& problem : problems)
        lines.push_back(problem.line);
    CHECK(lines == std::vector<std::size_t>{2, 3, 4, 5, 6, 7, 8, 9, 11});
}

TEST_CASE("password file: no problem shows what stands in the file", "[access]") {
    for (const auto& problem : problems_of("user:hunter2\nhunter2\n"))
        CHECK(problem.what.find("hunter2") == std::string::npos);
}

TEST_CASE("password file: one value has one spelling", "[access]") {
    std::string line = good_line("a");
    const auto end = line.size() - 2;
    constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    // The last of 43 digits carries four bits of the key and two that must be zero.
    line[end] = digits[digits.find(line[end]) | 1U];
    CHECK(problems_of(line).size() == 1);
}

TEST_CASE("password file: names that would break a line are refused", "[access]") {
    CHECK(user_problem("depot").empty());
    CHECK(user_problem("zwei Worte").empty());
    const std::string long_name(257, 'a');
    for (const std::string_view name :
         {"", "a:b", "a\nb", "#a", " a", "a ", "\x7f", "\xff", long_name.c_str()}) {
        INFO(name);
        CHECK_FALSE(user_problem(name).empty());
    }
}

TEST_CASE("password file: what is too long is refused", "[access]") {
    CHECK(problems_of(std::string(PasswordFile::file_bytes_max + 1, '\n')).size() == 1);
    std::string many;
    for (std::size_t i = 0; i <= PasswordFile::users_max; ++i)
        many += "u" + std::to_string(i) + ":!\n";
    CHECK(problems_of(many).size() == 1);
}

}  // namespace milepost::access
