// SPDX-License-Identifier: Apache-2.0
/// \file `Dropout`: which elements fall out is a function of (seed, example, token, operation,
/// channel), so that padding, batch position, rank count and recomputation leave it alone.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <zeropp/core/config.hpp>

namespace zeropp {

/// What an operation is told. `operation` numbers the places of a model that drop elements.
struct Dropout {
    float rate = 0;  ///< at least 0, below 1; rounded to a multiple of 2^-16; 0 runs no code
    std::uint32_t operation = 0;

    /// An element falls out if its 16 random bits are below this.
    constexpr std::uint32_t threshold() const {
        return static_cast<std::uint32_t>(rate * 65536.0f + 0.5f);
    }
    /// Factor of the elements that stay: 1 / (1 - rate).
    constexpr float scale() const { return 65536.0f / static_cast<float>(65536u - threshold()); }
    constexpr bool active() const { return threshold() != 0; }
};

/// Threefry-4x32: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section
/// 3.2; 12 rounds are the fewest that pass BigCrush. Sums, rotations and exclusive ors of 32 bits,
/// which vectorise everywhere (Philox's wide products take four times as long on AVX2).
template <int rounds = 12>
ZEROPP_HD constexpr std::array<std::uint32_t, 4> threefry(std::array<std::uint32_t, 4> key,
                                                          std::array<std::uint32_t, 4> counter) {
    constexpr int rotations[8][2] = {{10, 26}, {11, 21}, {13, 27}, {23, 5},
                                     {6, 20},  {17, 11}, {25, 10}, {18, 20}};
    const std::uint32_t keys[5] = {key[0], key[1], key[2], key[3],
                                   0x1BD11BDAu ^ key[0] ^ key[1] ^ key[2] ^ key[3]};
    std::uint32_t x[4] = {};
    for (int i = 0; i < 4; ++i) x[i] = counter[i] + keys[i];
    for (int round = 0; round < rounds; ++round) {
        const int left = rotations[round % 8][0], right = rotations[round % 8][1];
        const int first = round % 2 == 0 ? 1 : 3, second = round % 2 == 0 ? 3 : 1;
        x[0] += x[first];
        x[first] = (x[first] << left | x[first] >> (32 - left)) ^ x[0];
        x[2] += x[second];
        x[second] = (x[second] << right | x[second] >> (32 - right)) ^ x[2];
        if (round % 4 != 3) continue;
        const int turn = (round + 1) / 4;
        for (int i = 0; i < 4; ++i) x[i] += keys[(turn + i) % 5];
        x[3] += static_cast<std::uint32_t>(turn);
    }
    return {x[0], x[1], x[2], x[3]};
}

/// The random bits of one row. Channels come in groups of 64 that take eight blocks: channel
/// 64 g + 8 j + lane has the 16-bit half number j of block 8 g + lane, so that eight lanes compute
/// eight neighbours.
struct DropoutRow {
    std::array<std::uint32_t, 4> key;  ///< seed, ordinal of the example
    std::uint32_t token, operation;

    constexpr DropoutRow(std::uint64_t seed, std::uint32_t of_operation, std::uint64_t ordinal,
                         std::size_t of_token)
        : key{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32),
              static_cast<std::uint32_t>(ordinal), static_cast<std::uint32_t>(ordinal >> 32)},
          token{static_cast<std::uint32_t>(of_token)},
          operation{of_operation} {}

    /// The 16 bits of one channel.
    constexpr std::uint32_t bits(std::size_t channel) const {
        const std::size_t half = channel % 64 / 8;
        const auto block = static_cast<std::uint32_t>(channel / 64 * 8 + channel % 8);
        return threefry(key, {block, token, operation, 0})[half / 2] >> (half % 2 * 16) & 0xffffu;
    }
};

}  // namespace zeropp
