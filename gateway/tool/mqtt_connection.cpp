#include "gateway/tool/mqtt_connection.hpp"

#include "gateway/tool/failure.hpp"
#include "storage/base/result.hpp"
#include "storage/base/units.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>

#include <chrono>
#include <utility>

namespace milepost::tool {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using Tcp = boost::asio::ip::tcp;

namespace {

constexpr std::size_t read_bytes = 64 * kib;
constexpr std::chrono::milliseconds close_wait{200};

void must_have(const ErrorCode& error, const std::string& what) {
    if (error) throw Failure{exit_usage, what + ": " + error.message()};
}

}  // namespace

struct MqttConnection::Impl {
    using TlsStream = ssl::stream<Tcp::socket>;

    TransportOptions options;
    asio::io_context io{1};
    std::optional<ssl::context> context;
    std::optional<Tcp::socket> plain;
    std::optional<TlsStream> tls;
    bool is_open = false;
    Buffer input = Buffer(read_bytes);
    std::size_t input_bytes = 0;  // come, and not handed over
    bool is_reading = false;
    Buffer waiting;
    Buffer writing;
    bool is_writing = false;
    ErrorCode error;

    explicit Impl(TransportOptions wanted)
        : options(std::move(wanted)) {
        if (!options.is_tls) return;
        context.emplace(ssl::context::tls_client);
        ErrorCode wrong;
        context->set_options(
            ssl::context::default_workarounds | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1,
            wrong
        );
        context->set_verify_mode(ssl::verify_peer, wrong);
        if (options.ca_file.empty()) {
            context->set_default_verify_paths(wrong);
            must_have(wrong, "the system's certificates");
        } else {
            context->load_verify_file(options.ca_file, wrong);
            must_have(wrong, options.ca_file);
        }
        if (options.certificate_file.empty()) return;
        context->use_certificate_chain_file(options.certificate_file, wrong);
        must_have(wrong, options.certificate_file);
        context->use_private_key_file(options.key_file, ssl::context::pem, wrong);
        must_have(wrong, options.key_file);
    }

    Tcp::socket& socket() { return tls ? tls->next_layer() : *plain; }

    // Runs one operation to its end, or until `end`.
    template <class Start>
    ErrorCode run(Instant end, Start start) {
        std::optional<ErrorCode> outcome;
        io.restart();
        start([&](const ErrorCode& result, const auto&...) { outcome = result; });
        while (!outcome && monotonic_now() < end)
            io.run_one_until(end);
        if (!outcome) {
            ErrorCode ignored;
            socket().close(ignored);
            io.restart();
            io.run();
            return asio::error::timed_out;
        }
        return *outcome;
    }

    ErrorCode connect(Instant end) {
        ErrorCode failed;
        Tcp::resolver resolver{io};
        const auto found = resolver.resolve(options.address.host, options.address.port, failed);
        if (failed) return failed;
        if (context) {
            tls.emplace(io, *context);
        } else {
            plain.emplace(io);
        }
        failed = run(end, [&](auto done) {
            asio::async_connect(socket(), found, std::move(done));
        });
        if (failed) return failed;
        socket().set_option(Tcp::no_delay{true}, failed);
        if (!tls) return {};
        auto& host = options.address.host;
        // SNI is for names only (RFC 6066, section 3).
        ErrorCode is_name;
        asio::ip::make_address(host, is_name);
        // What the macro SSL_set_tlsext_host_name() does, without its casts.
        constexpr auto name_type = TLSEXT_NAMETYPE_host_name;
        if (is_name) {
            SSL_ctrl(tls->native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, name_type, host.data());
        }
        tls->set_verify_callback(ssl::host_name_verification{host}, failed);
        if (failed) return failed;
        return run(end, [&](auto done) {
            tls->async_handshake(ssl::stream_base::client, std::move(done));
        });
    }

    void close() {
        if (plain || tls) {
            ErrorCode ignored;
            socket().close(ignored);
            io.restart();
            io.run_for(close_wait);  // the handlers of what was cut off
        }
        plain.reset();
        tls.reset();
        is_open = is_reading = is_writing = false;
        input_bytes = 0;
        waiting.clear();
        writing.clear();
        error = {};
    }

    template <class Use>
    void with_stream(Use use) {
        if (tls) {
            use(*tls);
        } else {
            use(*plain);
        }
    }

    void start_reading() {
        if (is_reading || input_bytes > 0) return;
        is_reading = true;
        with_stream([this](auto& stream) {
            stream.async_read_some(
                asio::buffer(input.data(), input.size()),
                [this](const ErrorCode& failed, std::size_t count) {
                    is_reading = false;
                    input_bytes = count;
                    if (failed) error = failed;
                }
            );
        });
    }

    void start_writing() {
        if (is_writing || waiting.empty()) return;
        writing.clear();
        std::swap(writing, waiting);
        is_writing = true;
        with_stream([this](auto& stream) {
            asio::async_write(
                stream,
                asio::buffer(writing.data(), writing.size()),
                [this](const ErrorCode& failed, std::size_t) {
                    is_writing = false;
                    if (failed) {
                        error = failed;
                        return;
                    }
                    start_writing();
                }
            );
        });
    }
};

MqttConnection::MqttConnection(TransportOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}

MqttConnection::~MqttConnection() {
    impl_->close();
}

std::optional<std::string> MqttConnection::open(Duration wait_max) {
    impl_->close();
    if (const auto failed = impl_->connect(monotonic_now() + wait_max)) {
        impl_->close();
        return failed.message();
    }
    impl_->is_open = true;
    return std::nullopt;
}

void MqttConnection::close() {
    impl_->close();
}

bool MqttConnection::is_open() const {
    return impl_->is_open;
}

void MqttConnection::send(Buffer& bytes) {
    if (impl_->waiting.empty()) {
        std::swap(impl_->waiting, bytes);
    } else {
        append_bytes(impl_->waiting, bytes);
    }
    bytes.clear();
}

std::optional<std::string> MqttConnection::turn(
    Duration wait_max,
    const std::function<void(Bytes)>& on_bytes
) {
    auto& impl = *impl_;
    impl.io.restart();
    impl.start_writing();
    impl.start_reading();
    // At least what is ready; but a second wait only where nothing was.
    if (impl.io.poll() == 0 && wait_max > Duration{0}) impl.io.run_one_for(wait_max);
    if (impl.input_bytes > 0) {
        on_bytes(Bytes{impl.input}.first(std::exchange(impl.input_bytes, 0)));
    }
    if (!impl.error) return std::nullopt;
    const auto why = impl.error == asio::error::eof ? "the broker closed the connection"
                                                    : impl.error.message();
    impl.close();
    return why;
}

}  // namespace milepost::tool
