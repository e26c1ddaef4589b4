#include "gateway/upstream/secret_file.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace milepost::upstream {

namespace {

constexpr std::string_view suffix = "_file";
constexpr std::array<std::string_view, 8> secrets = {
    "sasl.password",
    "sasl.oauthbearer.client.secret",
    "ssl.key.password",
    "ssl.keystore.password",
    "ssl.key.pem",
    "sasl.oauthbearer.client.credentials.client.secret",
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
};

std::filesystem::path place_of(std::string_view path) {
    const std::filesystem::path given{path};
    const char* credentials = std::getenv("CREDENTIALS_DIRECTORY");
    if (given.is_absolute() || credentials == nullptr) return given;
    return std::filesystem::path{credentials} / given;
}

}  // namespace

std::optional<std::string_view> secret_of(std::string_view name) {
    if (!name.ends_with(suffix)) return std::nullopt;
    name.remove_suffix(suffix.size());
    if (std::find(secrets.begin(), secrets.end(), name) == secrets.end()) return std::nullopt;
    return name;
}

std::optional<std::string> read_secret(std::string_view path, std::string& secret) {
    const auto place = place_of(path);
    std::error_code error;
    if (!std::filesystem::is_regular_file(place, error)) {
        return "cannot read " + place.string() + ": it is no file, or not for this user";
    }
    std::ifstream file{place, std::ios::binary};
    secret.assign(secret_bytes_max + 1, '\0');
    file.read(secret.data(), static_cast<std::streamsize>(secret.size()));
    secret.resize(static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
    if (file.bad() || (!file.eof() && !file.good())) return "cannot read " + place.string();
    if (secret.size() > secret_bytes_max) {
        return place.string() + " is over " + std::to_string(secret_bytes_max) + " bytes";
    }
    if (secret.ends_with('\n')) secret.pop_back();
    if (secret.ends_with('\r')) secret.pop_back();
    if (secret.empty()) return place.string() + " is empty";
    if (secret.find('\0') != std::string::npos) return place.string() + " holds a zero byte";
    return std::nullopt;
}

}  // namespace milepost::upstream
