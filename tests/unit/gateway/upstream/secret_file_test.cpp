#include "gateway/upstream/secret_file.hpp"

#include "gateway/upstream/client_settings.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>
#include <string>

using namespace milepost::upstream;
using milepost::test::TempDir;

namespace {

std::string put(const TempDir& dir, const std::string& name, const std::string& content) {
    const auto path = dir.path() / name;
    std::ofstream{path, std::ios::binary} << content;
    return path.string();
}

}  // namespace

TEST_CASE("secret_file: only properties that hold secrets have a file", "[upstream]") {
    CHECK(secret_of("sasl.password_file") == "sasl.password");
    CHECK(secret_of("ssl.key.password_file") == "ssl.key.password");
    CHECK_FALSE(secret_of("sasl.password"));
    CHECK_FALSE(secret_of("transactional.id_file"));
    CHECK(check_property("transactional.id_file", "/etc/hostname"));
}

TEST_CASE("secret_file: a line end behind it is not part of it", "[upstream]") {
    const TempDir dir;
    std::string secret;
    CHECK_FALSE(read_secret(put(dir, "a", "pass word\n"), secret));
    CHECK(secret == "pass word");
    CHECK_FALSE(read_secret(put(dir, "b", "x\r\n"), secret));
    CHECK(secret == "x");
    CHECK_FALSE(read_secret(put(dir, "c", "two\nlines"), secret));
    CHECK(secret == "two\nlines");
}

TEST_CASE("secret_file: what cannot be a secret is said without telling it", "[upstream]") {
    const TempDir dir;
    std::string secret;
    CHECK(read_secret((dir.path() / "none").string(), secret));
    CHECK(read_secret(dir.path().string(), secret));
    CHECK(read_secret(put(dir, "empty", "\n"), secret));
    CHECK(read_secret(put(dir, "large", std::string(secret_bytes_max + 1, 'x')), secret));
    const auto problem = read_secret(put(dir, "zero", std::string{"hush\0hush", 9}), secret);
    REQUIRE(problem);
    CHECK(problem->find("hush") == std::string::npos);
    CHECK(check_property("sasl.password_file", (dir.path() / "none").string()));
    CHECK_FALSE(check_property("sasl.password_file", put(dir, "good", "p")));
}

TEST_CASE("secret_file: a relative name is one of systemd's credentials", "[upstream]") {
    const TempDir dir;
    put(dir, "kafka.password", "p");
    ::setenv("CREDENTIALS_DIRECTORY", dir.path().c_str(), 1);
    std::string secret;
    CHECK_FALSE(read_secret("kafka.password", secret));
    CHECK(secret == "p");
    ::unsetenv("CREDENTIALS_DIRECTORY");
    CHECK(read_secret("kafka.password", secret));
}
