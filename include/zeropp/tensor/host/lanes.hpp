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

/// Bits of a value as an integer that orders like it (-0 below 0, NaN at the ends), and back.
/// Compilers vectorise the largest of integers; that of values they take one by one.
ZEROPP_INLINE inline std::int32_t ordered(float value) {
    const auto bits = std::bit_cast<std::int32_t>(value);
    return bits ^ ((bits >> 31) & 0x7fffffff);
}
ZEROPP_INLINE inline std::int64_t ordered(double value) {
    const auto bits = std::bit_cast<std::int64_t>(value);
    return bits ^ ((bits >> 63) & 0x7fffffffffffffff);
}
ZEROPP_INLINE inline float from_ordered(std::int32_t order) {
    return std::bit_cast<float>(order ^ ((order >> 31) & 0x7fffffff));
}
ZEROPP_INLINE inline double from_ordered(std::int64_t order) {
    return std::bit_cast<double>(order ^ ((order >> 63) & 0x7fffffffffffffff));
}

/// The largest of value(0) .. value(n - 1); a positive NaN is larger than all.
template <class W, class Value>
ZEROPP_INLINE inline W largest(std::size_t n, Value value) {
    using Order = decltype(ordered(W{}));
    constexpr auto larger = [](Order a, Order b) ZEROPP_INLINE { return a < b ? b : a; };
    return from_ordered(fold<Order>(
        n, ordered(-std::numeric_limits<W>::infinity()),
        [=](std::size_t i, Order so_far)
            ZEROPP_INLINE { return larger(so_far, ordered(value(i))); },
        larger));
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
    const std::uint32_t power =
        std::bit_cast<std::uint32_t>(p) + (std::bit_cast<std::uint32_t>(shifted) << 23);
    // Masks and not conditions: a compiler must not branch around arithmetic that could trap.
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(x), size = bits & 0x7fffffffu;
    const std::uint32_t negative = 0u - (bits >> 31);
    const std::uint32_t limit = (negative & 0x42ae0000u) | (~negative & 0x42b170a4u);  // 87, 88.72
    const std::uint32_t beyond = 0u - static_cast<std::uint32_t>(size > limit);
    const std::uint32_t nan = 0u - static_cast<std::uint32_t>(size > 0x7f800000u);
    const std::uint32_t end = (~negative & 0x7f800000u) | (nan & bits);
    return std::bit_cast<float>((power & ~beyond) | (end & beyond));
}
ZEROPP_INLINE inline double exp(double x) { return std::exp(x); }

/// 1 / (1 + e^-x).
template <class W>
ZEROPP_INLINE inline W sigmoid(W x) {
    return W{1} / (W{1} + lanes::exp(-x));
}

}  // namespace zeropp::lanes
