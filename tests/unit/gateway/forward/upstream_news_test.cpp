#include "gateway/forward/upstream_news.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace milepost;
using namespace milepost::forward;

namespace {

class News final : public UpstreamNews {
public:
    News(ForwardStats& stats, LogLine log_line)
        : UpstreamNews(stats, std::move(log_line)) {}

    void on_reports(std::span<const upstream::DeliveryReport>) override {}

    void at(Timestamp wall) { wall_ = wall; }

    void later(Duration time) { now_ += time; }

    [[nodiscard]] ForwardStatus status(ForwardStatus status = {}) const {
        add_to(status);
        return status;
    }
};

}  // namespace

TEST_CASE("upstream_news: errors are counted by what they ask for, and told", "[forward]") {
    ForwardStats stats;
    std::vector<std::string> lines;
    News news{stats, [&](int, std::string_view line) {
                  lines.emplace_back(line);
              }};
    news.at(Timestamp{5});
    news.on_error(upstream::upstream_error(-195), "k:9092: Connection refused");
    news.on_error(upstream::upstream_error(-169), "wrong password");
    CHECK(stats.faults[static_cast<std::size_t>(upstream::Fault::transient)].value() == 1);
    CHECK(stats.faults[static_cast<std::size_t>(upstream::Fault::credentials)].value() == 1);
    CHECK(
        lines ==
        std::vector<std::string>{"upstream: k:9092: Connection refused", "upstream: wrong password"}
    );
    CHECK(news.status().last_error == "wrong password");
    CHECK(news.status().last_error_at == Timestamp{5});
}

TEST_CASE("upstream_news: what was left out of the lines is counted all the same", "[forward]") {
    ForwardStats stats;
    int lines = 0;
    News news{stats, [&](int, std::string_view) {
                  ++lines;
              }};
    news.on_error(upstream::upstream_error(-195), "first");
    news.on_error(upstream::upstream_error(-195), "");
    CHECK(lines == 1);
    CHECK(stats.faults[static_cast<std::size_t>(upstream::Fault::transient)].value() == 2);
    CHECK(news.status().last_error == "first");
}

TEST_CASE("upstream_news: the same again and again is a line a minute", "[forward]") {
    ForwardStats stats;
    std::vector<std::string> lines;
    News news{stats, [&](int, std::string_view line) {
                  lines.emplace_back(line);
              }};
    for (int i = 0; i < 240; ++i) {
        news.on_error(upstream::upstream_error(-195), "refused " + std::to_string(i));
        news.later(std::chrono::milliseconds{500});
    }
    CHECK(lines == std::vector<std::string>{"upstream: refused 0", "upstream: refused 120"});
    CHECK(news.status().last_error == "refused 239");
    news.on_error(upstream::upstream_error(-169), "wrong password");
    CHECK(lines.back() == "upstream: wrong password");
}

TEST_CASE("upstream_news: that no broker is connected comes first, with the reason", "[forward]") {
    ForwardStatus status;
    status.degraded = {"topic t: missing"};
    add_no_broker(status);
    CHECK(
        status.degraded == std::vector<std::string>{"topic t: missing", "no broker is connected"}
    );
    status.degraded = {"topic t: missing"};
    status.last_error = "k:9092: Connection refused";
    add_no_broker(status);
    CHECK(status.degraded.front() == "no broker is connected: k:9092: Connection refused");
    status.brokers_connected = 1;
    status.degraded.clear();
    add_no_broker(status);
    CHECK(status.degraded.empty());
}

TEST_CASE("upstream_news: throttling is counted, and a line every ten minutes", "[forward]") {
    ForwardStats stats;
    int lines = 0;
    News news{stats, [&](int, std::string_view) {
                  ++lines;
              }};
    for (int i = 0; i < 10; ++i) {
        news.on_throttled(std::chrono::milliseconds{50});
        news.later(std::chrono::seconds{1});
    }
    CHECK(lines == 1);
    CHECK(stats.throttled.value() == 10);
    news.later(std::chrono::minutes{10});
    news.on_throttled(std::chrono::milliseconds{50});
    CHECK(lines == 2);
}

TEST_CASE("upstream_news: of several producers the last error is shown", "[forward]") {
    ForwardStats stats;
    News older{stats, [](int, std::string_view) {
               }};
    News newer{stats, [](int, std::string_view) {
               }};
    older.at(Timestamp{1});
    older.on_error(upstream::upstream_error(-195), "old");
    newer.at(Timestamp{2});
    newer.on_error(upstream::upstream_error(-195), "new");
    CHECK(older.status(newer.status()).last_error == "new");
    CHECK(newer.status(older.status()).last_error == "new");
    newer.on_brokers(3);
    CHECK(older.status().brokers_connected == 3);
}

TEST_CASE("upstream_news: the library's own lines keep their level", "[forward]") {
    ForwardStats stats;
    std::vector<std::pair<int, std::string>> lines;
    News news{stats, [&](int level, std::string_view line) {
                  lines.emplace_back(level, line);
              }};
    news.on_log(6, "hello");
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].first == 6);
    CHECK(lines[0].second == "librdkafka: hello");
}
