#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace milepost {

inline constexpr const char* machine_id_file = "/etc/machine-id";

// Which machine this is, as data folders remember it: the first 8 bytes of HMAC-SHA256 over a fixed
// application id, keyed with the machine id, as machine-id(5) asks for; the id itself is stored
// nowhere. 0: the machine has none (a container, an image before its first boot), and then nothing
// is compared.
[[nodiscard]] std::uint64_t machine_id_hash(const std::filesystem::path& file = machine_id_file);

// The same of the file's text: 32 hex digits and a line end, else 0.
[[nodiscard]] std::uint64_t hash_machine_id(std::string_view text);

}  // namespace milepost
