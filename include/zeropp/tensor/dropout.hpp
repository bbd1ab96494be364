// SPDX-License-Identifier: Apache-2.0
/// \file `Dropout`: which elements fall out is a function of (seed, example, token, operation,
/// channel), so that padding, batch position, rank count and recomputation leave it alone.
#pragma once

#include <cstddef>
#include <cstdint>

#include <zeropp/core/rng.hpp>

namespace zeropp {

/// What an operation is told. `operation` numbers the places of a model that drop elements.
struct Dropout {
    float rate = 0;  ///< rounded to a multiple of 2^-16; 0 runs no code
    std::uint32_t operation = 0;

    /// An element falls out if its 16 random bits are below this.
    constexpr std::uint32_t threshold() const {
        return static_cast<std::uint32_t>(rate * 65536.0f + 0.5f);
    }
    /// Factor of the elements that stay: 1 / (1 - rate).
    constexpr float scale() const { return 65536.0f / static_cast<float>(65536u - threshold()); }
    constexpr bool active() const { return threshold() != 0; }
};

/// The random bits of one row. Channels come in groups of 64 that take eight Philox blocks: channel
/// 64 g + 8 j + lane has the 16-bit half number j of block 8 g + lane, so that eight lanes compute
/// eight neighbours.
struct DropoutRow {
    std::uint64_t key;
    std::uint32_t token, ordinal_low, ordinal_high;

    constexpr DropoutRow(std::uint64_t seed, std::uint32_t operation, std::uint64_t ordinal,
                         std::size_t row_token)
        : key{mixed(seed, operation)},
          token{static_cast<std::uint32_t>(row_token)},
          ordinal_low{static_cast<std::uint32_t>(ordinal)},
          ordinal_high{static_cast<std::uint32_t>(ordinal >> 32)} {}

    /// The 16 bits of one channel.
    constexpr std::uint32_t bits(std::size_t channel) const {
        const std::size_t half = channel % 64 / 8;
        const auto block = static_cast<std::uint32_t>(channel / 64 * 8 + channel % 8);
        return philox(key, {block, token, ordinal_low, ordinal_high})[half / 2] >> (half % 2 * 16) &
               0xffffu;
    }

private:
    /// Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, fig. 13.
    static constexpr std::uint64_t mixed(std::uint64_t seed, std::uint32_t operation) {
        std::uint64_t z = seed + (std::uint64_t{operation} + 1) * 0x9E3779B97F4A7C15u;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }
};

}  // namespace zeropp
