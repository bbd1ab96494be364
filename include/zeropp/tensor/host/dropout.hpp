// SPDX-License-Identifier: Apache-2.0
/// \file Host: the factors of dropout, 64 channels at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include <zeropp/tensor/dropout.hpp>
#include <zeropp/tensor/host/lanes.hpp>

namespace zeropp::lanes {

inline constexpr std::size_t dropout_group = 64;

/// factors[c] = 0 or `scale`, for channels 64 * group + c of the row.
template <class W>
ZEROPP_INLINE inline void dropout_factors(const DropoutRow& row, std::size_t group,
                                          std::uint32_t threshold, W scale, W* factors) {
    constexpr std::size_t lanes = 8;
    std::uint32_t c0[lanes], c1[lanes], c2[lanes], c3[lanes];
    for (std::size_t l = 0; l < lanes; ++l) {
        c0[l] = static_cast<std::uint32_t>(group * lanes + l);
        c1[l] = row.token;
        c2[l] = row.ordinal_low;
        c3[l] = row.ordinal_high;
    }
    auto k0 = static_cast<std::uint32_t>(row.key), k1 = static_cast<std::uint32_t>(row.key >> 32);
    for (int round = 0; round < 10; ++round) {
        for (std::size_t l = 0; l < lanes; ++l) {
            const std::uint64_t a = std::uint64_t{0xD2511F53u} * c0[l];
            const std::uint64_t b = std::uint64_t{0xCD9E8D57u} * c2[l];
            c0[l] = static_cast<std::uint32_t>(b >> 32) ^ c1[l] ^ k0;
            c1[l] = static_cast<std::uint32_t>(b);
            c2[l] = static_cast<std::uint32_t>(a >> 32) ^ c3[l] ^ k1;
            c3[l] = static_cast<std::uint32_t>(a);
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    const std::uint32_t* const words[4] = {c0, c1, c2, c3};
    for (std::size_t word = 0; word < 4; ++word)
        for (std::size_t l = 0; l < lanes; ++l) {
            const std::uint32_t bits = words[word][l];
            factors[word * 16 + l] = (bits & 0xffffu) < threshold ? W{0} : scale;
            factors[word * 16 + 8 + l] = (bits >> 16) < threshold ? W{0} : scale;
        }
}

}  // namespace zeropp::lanes
