// SPDX-License-Identifier: Apache-2.0
/// \file `Few`: a fixed number of values, on a GPU too, where std::array's functions are none.
#pragma once

#include <cstddef>

#include <zeropp/core/config.hpp>

namespace zeropp {

template <class T, std::size_t N>
struct Few {
    T values[N];

    ZEROPP_HD constexpr T& operator[](std::size_t i) { return values[i]; }
    ZEROPP_HD constexpr const T& operator[](std::size_t i) const { return values[i]; }
    friend constexpr bool operator==(const Few&, const Few&) = default;
};
template <class T>
struct Few<T, 0> {};

}  // namespace zeropp
