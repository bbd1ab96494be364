// SPDX-License-Identifier: Apache-2.0
/// \file How squares are summed: in double, over fixed lanes of fixed blocks, on every device and
/// with every instruction set.
#pragma once

#include <cstddef>

#include <zeropp/core/config.hpp>
#include <zeropp/device/instruction_set.hpp>

namespace zeropp {

/// Element i of a block belongs to lane i % square_lanes. A block's sum is its lanes' in order, the
/// whole is the blocks' in order.
inline constexpr std::size_t square_lanes = 16, square_block = 4096;

/// No explicit fma, which is a function call where the processor has none: the square of a float is
/// exact in double, so that the bits are the same either way.
ZEROPP_HD ZEROPP_INLINE inline double add_square(double sum, float value) {
    const auto x = static_cast<double>(value);
    return sum + x * x;
}

/// Of values(i), floats, as one block.
template <class Values>
double sum_of_squares(std::size_t count, const Values& values) {
    double total = 0;
    vectorized([&, values, count]() ZEROPP_INLINE {
        double lane[square_lanes] = {};
        std::size_t i = 0;
        for (; i + square_lanes <= count; i += square_lanes)
            for (std::size_t j = 0; j < square_lanes; ++j)
                lane[j] = add_square(lane[j], values(i + j));
        for (std::size_t j = 0; i + j < count; ++j) lane[j] = add_square(lane[j], values(i + j));
        for (std::size_t j = 0; j < square_lanes; ++j) total += lane[j];
    });
    return total;
}

}  // namespace zeropp
