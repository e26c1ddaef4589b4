#include "gateway/machine_id.hpp"

#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <fstream>

using milepost::hash_machine_id;
using milepost::machine_id_hash;

namespace {

constexpr const char* id = "0123456789abcdef0123456789abcdef";

}  // namespace

// The expected value is from another hand:
//   printf 'b19e5f3c7a424d8e960d52c81be7a473' | xxd -r -p |
//     openssl dgst -sha256 -mac HMAC -macopt hexkey:0123456789abcdef0123456789abcdef
TEST_CASE("machine id: the hash is HMAC-SHA256 of the application id", "[machine_id]") {
    CHECK(hash_machine_id(id) == 0xa20adf6313bda877);
    CHECK(hash_machine_id(std::string{id} + "\n") == hash_machine_id(id));
    CHECK(hash_machine_id("0123456789abcdef0123456789abcdee") != hash_machine_id(id));
}

TEST_CASE("machine id: what is no id is none", "[machine_id]") {
    for (const char* text :
         {"",
          "\n",
          "uninitialized\n",
          "0123456789abcdef0123456789abcde",
          "0123456789abcdef0123456789abcdef0",
          "0123456789abcdef-0123456789abcde",
          "0x23456789abcdef0123456789abcdef"}) {
        CAPTURE(text);
        CHECK(hash_machine_id(text) == 0);
    }
}

TEST_CASE("machine id: read from its file, none without it", "[machine_id]") {
    const milepost::test::TempDir dir;
    CHECK(machine_id_hash(dir.path() / "machine-id") == 0);
    std::ofstream{dir.path() / "machine-id"} << id << '\n';
    CHECK(machine_id_hash(dir.path() / "machine-id") == hash_machine_id(id));
}
