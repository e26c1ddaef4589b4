#include "gateway/access_files.hpp"

#include "gateway/config_checks.hpp"
#include "gateway/listener/tls.hpp"
#include "storage/base/units.hpp"

#include <fmt/core.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <system_error>
#include <variant>

namespace milepost {

namespace {

constexpr std::string_view credentials_variable = "CREDENTIALS_DIRECTORY";

// Reads and parses each file once, however many listeners name it.
class Reader {
public:
    explicit Reader(std::vector<std::string>& problems)
        : problems_(problems) {}

    // nullopt: it is named among the problems.
    std::optional<std::string> text(const std::string& path, std::size_t bytes_max) {
        const std::string resolved = resolved_path(path);
        std::ifstream stream{resolved, std::ios::binary};
        if (!stream) {
            complain(resolved, "cannot be opened: " + std::generic_category().message(errno));
            return std::nullopt;
        }
        std::string text(bytes_max + 1, '\0');
        stream.read(text.data(), static_cast<std::streamsize>(text.size()));
        text.resize(static_cast<std::size_t>(stream.gcount()));
        if (stream.bad() || (text.empty() && !stream.eof())) {
            complain(resolved, "cannot be read");
            return std::nullopt;
        }
        if (text.size() > bytes_max) {
            complain(resolved, fmt::format("is longer than {} bytes", bytes_max));
            return std::nullopt;
        }
        return text;
    }

    void complain(const std::string& path, std::string_view what) {
        problems_.push_back(fmt::format("{}: {}", path, what));
    }

    // The parsed file; `old` if it cannot be used.
    template <class File>
    std::shared_ptr<const File> parsed(
        const std::string& path,
        std::map<std::string, std::shared_ptr<const File>>& known,
        const std::shared_ptr<const File>& old
    ) {
        if (path.empty()) return nullptr;
        if (const auto found = known.find(path); found != known.end()) {
            return found->second ? found->second : old;
        }
        auto& file = known[path];
        const auto content = text(path, File::file_bytes_max);
        if (!content) return old;
        auto result = File::parse(*content);
        if (const auto* problems = std::get_if<std::vector<access::FileProblem>>(&result)) {
            for (const auto& [line, what] : *problems)
                complain(fmt::format("{}:{}", resolved_path(path), line), what);
            return old;
        }
        file = std::make_shared<const File>(std::get<File>(std::move(result)));
        return file;
    }

private:
    std::vector<std::string>& problems_;
};

constexpr std::size_t pem_bytes_max = 4 * mib;

listener::CertificateName name_of(std::string_view configured) {
    using listener::CertificateName;
    if (configured == "cn") return CertificateName::cn;
    if (configured == "san_dns") return CertificateName::san_dns;
    if (configured == "san_uri") return CertificateName::san_uri;
    if (configured == "san_email") return CertificateName::san_email;
    return CertificateName::none;
}

std::string take_path(std::string_view& list) {
    const auto comma = list.find(',');
    const std::string path{list.substr(0, comma)};
    list = comma == std::string_view::npos ? "" : list.substr(comma + 1);
    return path;
}

// All of a listener's TLS or, if one file cannot be used, `old`.
std::shared_ptr<const listener::TlsServer> read_tls(
    const ListenerConfig& configured,
    Reader& reader,
    const std::shared_ptr<const listener::TlsServer>& old
) {
    if (configured.certificates.empty()) return nullptr;
    listener::TlsMaterial material;
    material.client_certificate_required = configured.client_certificate_required;
    material.only_1_3 = configured.tls_1_3_only;
    material.user_from = name_of(configured.user_from_certificate);
    bool is_whole = true;
    const auto read = [&](const std::string& path, std::string& to) {
        if (path.empty()) return;
        auto text = reader.text(path, pem_bytes_max);
        if (!text) is_whole = false;
        to = std::move(text).value_or(std::string{});
    };
    std::string_view certificates = configured.certificates;
    std::string_view keys = configured.keys;
    while (!certificates.empty()) {
        auto& certificate = material.certificates.emplace_back();
        read(take_path(certificates), certificate.chain);
        read(take_path(keys), certificate.key);
    }
    read(configured.client_ca, material.client_ca);
    read(configured.crl_file, material.crl);
    if (!is_whole) return old;
    auto made = listener::TlsServer::make(material);
    if (const auto* problem = std::get_if<std::string>(&made)) {
        reader.complain(fmt::format("TLS of {}:{}", configured.address, configured.port), *problem);
        return old;
    }
    return std::get<std::shared_ptr<const listener::TlsServer>>(std::move(made));
}

}  // namespace

std::string resolved_path(const std::string& path) {
    const std::string front = fmt::format("${}/", credentials_variable);
    if (!path.starts_with(front)) return path;
    const char* folder = std::getenv(std::string{credentials_variable}.c_str());
    return folder == nullptr ? path : fmt::format("{}/{}", folder, path.substr(front.size()));
}

AccessFiles read_access_files(
    const MqttConfig& mqtt,
    const std::vector<listener::EndpointRules>& old
) {
    AccessFiles files;
    Reader reader{files.problems};
    std::map<std::string, std::shared_ptr<const access::PasswordFile>> passwords;
    std::map<std::string, std::shared_ptr<const access::Acl>> acls;
    for (std::size_t i = 0; i < mqtt.listeners.size(); ++i) {
        const ListenerConfig& configured = mqtt.listeners[i];
        const listener::EndpointRules before = i < old.size() ? old[i] : listener::EndpointRules{};
        listener::EndpointRules rules;
        rules.passwords = reader.parsed(configured.password_file, passwords, before.passwords);
        rules.acl = reader.parsed(configured.acl_file, acls, before.acl);
        rules.tls = read_tls(configured, reader, before.tls);
        rules.certificate_is_user = configured.user_from_certificate != "none";
        rules.client_id_is_user = configured.client_id_is_user;
        rules.anonymous = configured.anonymous ||
                          (!asks_who_it_is(configured) && is_loopback(configured.address));
        files.rules.push_back(std::move(rules));
    }
    return files;
}

}  // namespace milepost
