// SPDX-License-Identifier: Apache-2.0
/// \file A square root that compilers vectorise: std::sqrt may set errno, which keeps them from it.
#pragma once

#include <cstdint>

#include <zeropp/core/bits.hpp>
#include <zeropp/core/config.hpp>

namespace zeropp {

/// Of x >= 0, within 1 ulp for normal x, 0 for 0; below the smallest normal number too small by up
/// to all its digits; of infinity a large finite number. The same bits everywhere: Newton's
/// iteration for x^(-1/2) from a first guess on the exponent, then one correction of the root.
ZEROPP_HD ZEROPP_INLINE inline float square_root(float x) {
    const auto bits = bit_cast<std::uint32_t>(x);
    x = bit_cast<float>(bits < 0x7f7fffffu ? bits : 0x7f7fffffu);
    float y = bit_cast<float>(0x5f375a86u - (bit_cast<std::uint32_t>(x) >> 1));
    const float half = 0.5f * x;
    y = y * __builtin_fmaf(-half * y, y, 1.5f);
    y = y * __builtin_fmaf(-half * y, y, 1.5f);
    y = y * __builtin_fmaf(-half * y, y, 1.5f);
    const float root = x * y;
    return __builtin_fmaf(__builtin_fmaf(-root, root, x), 0.5f * y, root);
}

}  // namespace zeropp
