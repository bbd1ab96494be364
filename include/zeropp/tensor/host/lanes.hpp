// SPDX-License-Identifier: Apache-2.0
/// \file What the host's loops are made of: sums over 16 fixed lanes, and exp, the same bits with
/// every instruction set. Everything here is inlined into a `vectorized` body.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <zeropp/device/instruction_set.hpp>
#include <zeropp/tensor/scalar.hpp>

namespace zeropp::lanes {

inline constexpr std::size_t lane_count = 16;

/// Rounded up to whole lanes.
constexpr std::size_t padded(std::size_t n) {
    return (n + lane_count - 1) / lane_count * lane_count;
}

ZEROPP_INLINE inline float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
ZEROPP_INLINE inline double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }

/// Combines term(i, lane) over i = 0 .. n-1 in lane i % 16, then the lanes pairwise.
template <class W, class Term, class Join>
ZEROPP_INLINE inline W fold(std::size_t n, W start, Term term, Join join) {
    W lane[lane_count];
    for (std::size_t l = 0; l < lane_count; ++l) lane[l] = start;
    std::size_t i = 0;
    for (; i + lane_count <= n; i += lane_count)
        for (std::size_t l = 0; l < lane_count; ++l) lane[l] = term(i + l, lane[l]);
    for (std::size_t l = 0; i + l < n; ++l) lane[l] = term(i + l, lane[l]);
    for (std::size_t half = lane_count / 2; half != 0; half /= 2)
        for (std::size_t l = 0; l < half; ++l) lane[l] = join(lane[l], lane[l + half]);
    return lane[0];
}

/// sum of term(i, so far), which adds its term to what it is given.
template <class W, class Term>
ZEROPP_INLINE inline W sum(std::size_t n, Term term) {
    return fold<W>(n, W{0}, term, [](W a, W b) ZEROPP_INLINE { return a + b; });
}

template <class W>
ZEROPP_INLINE inline W largest(std::size_t n, const W* values) {
    constexpr auto larger = [](W a, W b) ZEROPP_INLINE { return a < b ? b : a; };
    return fold<W>(
        n, -std::numeric_limits<W>::infinity(),
        [=](std::size_t i, W so_far) ZEROPP_INLINE { return larger(so_far, values[i]); }, larger);
}

/// e^x within 1.5 units in the last place; 0 below -87, infinity above 88.72, NaN for NaN.
/// x = n log 2 + r, |r| <= log(2) / 2: e^r by a polynomial of degree 6 fitted to the interval.
ZEROPP_INLINE inline float exp(float x) {
    constexpr float shift = 0x1.8p23f;  // adding it leaves the rounded integer in the low bits
    const float shifted = fma(x, 0x1.715476p0f, shift);
    const float n = shifted - shift;
    float r = fma(n, -0x1.62e400p-1f, x);  // few enough bits for an exact product
    r = fma(n, -0x1.7f7d1cp-20f, r);
    float p = 0x1.6a23cep-10f;
    p = fma(p, r, 0x1.123a2p-7f);
    p = fma(p, r, 0x1.5558f2p-5f);
    p = fma(p, r, 0x1.555492p-3f);
    p = fma(p, r, 0x1.fffffcp-2f);
    p = fma(p, r, 1.0f);
    p = fma(p, r, 1.0f);
    const std::uint32_t exponent = std::bit_cast<std::uint32_t>(shifted) << 23;
    const float power = std::bit_cast<float>(std::bit_cast<std::uint32_t>(p) + exponent);
    const float low = x < -87.0f ? 0.0f : power;
    const float high = x > 88.72f ? std::numeric_limits<float>::infinity() : low;
    return x == x ? high : x;
}
ZEROPP_INLINE inline double exp(double x) { return std::exp(x); }

/// 1 / (1 + e^-x).
template <class W>
ZEROPP_INLINE inline W sigmoid(W x) {
    return W{1} / (W{1} + lanes::exp(-x));
}

}  // namespace zeropp::lanes
