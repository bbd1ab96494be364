// SPDX-License-Identifier: Apache-2.0
/// \file How squares are summed: in double, over fixed lanes of fixed blocks, on every device.
#pragma once

#include <cstddef>

#include <zeropp/core/config.hpp>

namespace zeropp {

/// Element i of a block belongs to lane i % measure_lanes. A block's sum is its lanes' in order,
/// the whole is the blocks' in order.
inline constexpr std::size_t measure_lanes = 16, measure_block = 4096;

ZEROPP_HD ZEROPP_INLINE inline double add_square(double sum, float value) {
    const auto x = static_cast<double>(value);
    return __builtin_fma(x, x, sum);
}

}  // namespace zeropp
