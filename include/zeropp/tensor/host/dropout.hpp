// SPDX-License-Identifier: Apache-2.0
/// \file Host: the factors of dropout, 64 channels at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include <zeropp/device/instruction_set.hpp>
#include <zeropp/tensor/dropout.hpp>

namespace zeropp::lanes {

inline constexpr std::size_t dropout_group = 64;

/// factors[c] = 0 or `scale`, for channels 64 * group + c of the row: `DropoutRow::bits`, with the
/// rounds spelled out so that a compiler sees one loop over lanes.
template <class W>
ZEROPP_INLINE inline void dropout_factors(const DropoutRow& row, std::size_t group,
                                          std::uint32_t threshold, W scale, W* __restrict factors) {
    constexpr std::size_t width = 8;
    constexpr auto mix = [](std::uint32_t& a, std::uint32_t& b, int rotation) ZEROPP_INLINE {
        a += b;
        b = (b << rotation | b >> (32 - rotation)) ^ a;
    };
    const std::uint32_t k0 = row.key[0], k1 = row.key[1], k2 = row.key[2], k3 = row.key[3];
    const std::uint32_t k4 = 0x1BD11BDAu ^ k0 ^ k1 ^ k2 ^ k3;
    const auto first = static_cast<std::uint32_t>(group * width);
    std::uint32_t words[4][width];
    for (std::uint32_t lane = 0; lane < width; ++lane) {
        std::uint32_t a = first + lane + k0, b = row.token + k1, c = row.operation + k2, d = k3;
        mix(a, b, 10), mix(c, d, 26), mix(a, d, 11), mix(c, b, 21);
        mix(a, b, 13), mix(c, d, 27), mix(a, d, 23), mix(c, b, 5);
        a += k1, b += k2, c += k3, d += k4 + 1;
        mix(a, b, 6), mix(c, d, 20), mix(a, d, 17), mix(c, b, 11);
        mix(a, b, 25), mix(c, d, 10), mix(a, d, 18), mix(c, b, 20);
        a += k2, b += k3, c += k4, d += k0 + 2;
        mix(a, b, 10), mix(c, d, 26), mix(a, d, 11), mix(c, b, 21);
        mix(a, b, 13), mix(c, d, 27), mix(a, d, 23), mix(c, b, 5);
        a += k3, b += k4, c += k0, d += k1 + 3;
        words[0][lane] = a;
        words[1][lane] = b;
        words[2][lane] = c;
        words[3][lane] = d;
    }
    for (std::size_t word = 0; word < 4; ++word)
        for (std::size_t lane = 0; lane < width; ++lane) {
            const std::uint32_t bits = words[word][lane];
            factors[word * 16 + lane] = (bits & 0xffffu) < threshold ? W{0} : scale;
            factors[word * 16 + 8 + lane] = (bits >> 16) < threshold ? W{0} : scale;
        }
}

}  // namespace zeropp::lanes
