#pragma once

#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>

namespace milepost {

using ErrorCode = boost::system::error_code;

// A value or an error code. Boost 1.81's own result is not [[nodiscard]]; a dropped one is an error
// here. Errors are codes with one category per room; what a person reads is made at the edge.
template <class T>
class [[nodiscard]] Result : public boost::system::result<T> {
public:
    using boost::system::result<T>::result;
};

template <>
class [[nodiscard]] Result<void> : public boost::system::result<void> {
public:
    using boost::system::result<void>::result;
};

}  // namespace milepost

// Returns the error of `expression` from the current function, if it has one. For functions that
// return a Result<...>.
#define MILEPOST_TRY(expression)                                             \
    do {                                                                     \
        if (auto milepost_try_result = (expression); !milepost_try_result) { \
            return milepost_try_result.error();                              \
        }                                                                    \
    } while (false)
