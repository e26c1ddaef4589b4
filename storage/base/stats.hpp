#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

namespace milepost {

// Counts upwards. Any thread may add and read; a reader sees a recent value.
class Counter {
public:
    void add(std::uint64_t amount = 1) { value_.fetch_add(amount, std::memory_order_relaxed); }

    [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

// A value that goes up and down. Any thread may set and read.
class Gauge {
public:
    void set(std::int64_t value) { value_.store(value, std::memory_order_relaxed); }

    void add(std::int64_t amount) { value_.fetch_add(amount, std::memory_order_relaxed); }

    [[nodiscard]] std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::int64_t> value_{0};
};

// Counts values in buckets whose upper bounds are powers of two: bucket i holds values < 2^i. The
// unit is the owner's (durations: microseconds). Any thread may record and read.
class Histogram {
public:
    static constexpr std::size_t bucket_count = 40;

    void record(std::uint64_t value, std::uint64_t times = 1) {
        const std::size_t wide = std::bit_width(value);
        buckets_[wide < bucket_count ? wide : bucket_count - 1].fetch_add(
            times,
            std::memory_order_relaxed
        );
        count_.fetch_add(times, std::memory_order_relaxed);
        sum_.fetch_add(value * times, std::memory_order_relaxed);
    }

    [[nodiscard]] std::uint64_t bucket(std::size_t index) const {
        return buckets_[index].load(std::memory_order_relaxed);
    }

    [[nodiscard]] std::uint64_t count() const { return count_.load(std::memory_order_relaxed); }

    [[nodiscard]] std::uint64_t sum() const { return sum_.load(std::memory_order_relaxed); }

private:
    std::array<std::atomic<std::uint64_t>, bucket_count> buckets_{};
    std::atomic<std::uint64_t> count_{0};
    std::atomic<std::uint64_t> sum_{0};
};

}  // namespace milepost
