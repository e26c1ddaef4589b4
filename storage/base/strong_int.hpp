#pragma once

#include <compare>
#include <cstddef>
#include <functional>
#include <type_traits>

namespace milepost {

// An integer whose meaning is part of its type: an Offset cannot be added to a FilePosition.
// A difference of two is a plain number, and a plain number can be added.
template <class Tag, class Rep>
class StrongInt {
public:
    using Number = Rep;

    constexpr StrongInt() = default;

    constexpr explicit StrongInt(Rep value)
        : value_(value) {}

    [[nodiscard]] constexpr Rep value() const { return value_; }

    constexpr StrongInt& operator+=(Rep distance) {
        value_ = static_cast<Rep>(value_ + distance);
        return *this;
    }

    constexpr StrongInt& operator++() {
        ++value_;
        return *this;
    }

    friend constexpr StrongInt operator+(StrongInt left, Rep distance) {
        return StrongInt{static_cast<Rep>(left.value_ + distance)};
    }

    friend constexpr StrongInt operator-(StrongInt left, Rep distance) {
        return StrongInt{static_cast<Rep>(left.value_ - distance)};
    }

    friend constexpr Rep operator-(StrongInt left, StrongInt right) {
        return static_cast<Rep>(left.value_ - right.value_);
    }

    // clang-tidy 14 takes the 0 of a defaulted <=> for a pointer.
    // NOLINTNEXTLINE(modernize-use-nullptr)
    friend constexpr auto operator<=>(StrongInt, StrongInt) = default;

private:
    Rep value_{};
};

}  // namespace milepost

template <class Tag, class Rep>
struct std::hash<milepost::StrongInt<Tag, Rep>> {
    std::size_t operator()(milepost::StrongInt<Tag, Rep> number) const noexcept {
        return std::hash<Rep>{}(number.value());
    }
};
