#include "firmware-sim/input_file.hpp"

#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

using namespace milepost;
using namespace milepost::fleet;

TEST_CASE("input file: its bytes are read, an error has its name", "[input]") {
    const test::TempDir dir;
    const std::string path = dir.path() / "cycle.csv";
    std::ofstream{path} << "0,0\n";
    CHECK(std::get<std::string>(read_input(path)) == "0,0\n");
    const auto missing = read_input(path + "x");
    CHECK(std::get<InputError>(missing).what == path + "x: No such file or directory");
    CHECK(std::holds_alternative<InputError>(read_input(dir.path())));
    std::filesystem::resize_file(path, input_bytes_max + 1);
    CHECK(std::get<InputError>(read_input(path)).what == path + ": larger than 16 MiB");
}

TEST_CASE("input file: numbers stand between commas, semicolons and spaces", "[input]") {
    std::vector<double> numbers;
    CHECK(parse_numbers("1,2.5; -3\t4e2 ", numbers));
    CHECK(numbers == std::vector<double>{1, 2.5, -3, 400});
    for (const std::string text : {"", " ,", "a", "1,b", "1x", "nan", "1,inf", "1e999", "--1"}) {
        INFO(text);
        CHECK_FALSE(parse_numbers(text, numbers));
    }
}

TEST_CASE("input file: empty lines and comments are no lines, but count", "[input]") {
    std::vector<std::pair<std::size_t, std::string>> lines;
    for_each_line("a\r\n\n  # b\n  c\nd", [&](std::size_t number, std::string_view line) {
        lines.emplace_back(number, line);
        return line != "c";
    });
    using Lines = std::vector<std::pair<std::size_t, std::string>>;
    CHECK(lines == Lines{{1, "a"}, {4, "c"}});
}
