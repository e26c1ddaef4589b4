#pragma once

#include "storage/base/result.hpp"

#include <catch2/catch.hpp>

#include <string>

// Boost 1.81's operator<< for results is unconstrained and does not compile for most T.
template <class T>
struct Catch::StringMaker<milepost::Result<T>> {
    static std::string convert(const milepost::Result<T>& result) {
        return result.has_value() ? std::string{"a value"} : "error: " + result.error().message();
    }
};
