// SPDX-License-Identifier: Apache-2.0
/// \file Counter-based random numbers: a value is a function of (seed, where it is used), so it is
/// the same on every device, rank count and visiting order.
/// Philox4x32-10: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, table 2.
#pragma once

#include <cmath>
#include <cstdint>

#include <zeropp/core/config.hpp>
#include <zeropp/core/few.hpp>

namespace zeropp {

using RandomBlock = Few<std::uint32_t, 4>;

ZEROPP_HD constexpr RandomBlock philox(std::uint64_t key, RandomBlock counter) {
    std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t a = std::uint64_t{0xD2511F53u} * counter[0];
        const std::uint64_t b = std::uint64_t{0xCD9E8D57u} * counter[2];
        counter = {
            {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ k0, static_cast<std::uint32_t>(b),
             static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ k1, static_cast<std::uint32_t>(a)}};
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return counter;
}

/// In [0, 1), 24 bits.
ZEROPP_HD constexpr float uniform_from(std::uint32_t bits) {
    return static_cast<float>(bits >> 8) * 0x1p-24f;
}

/// A stream for host code that draws in order (shuffles, span corruption). Copyable state.
class Random {
public:
    explicit constexpr Random(std::uint64_t seed, std::uint64_t stream = 0)
        : seed_{seed}, stream_{stream} {}

    constexpr std::uint32_t next() {
        if (at_ == 4) {
            block_ = philox(
                seed_,
                {{static_cast<std::uint32_t>(index_), static_cast<std::uint32_t>(index_ >> 32),
                  static_cast<std::uint32_t>(stream_), static_cast<std::uint32_t>(stream_ >> 32)}});
            ++index_;
            at_ = 0;
        }
        return block_[at_++];
    }
    constexpr float uniform() { return uniform_from(next()); }
    /// Uniform in [0, count), without bias (Lemire's multiply with rejection); count > 0.
    constexpr std::uint32_t below(std::uint32_t count) {
        const std::uint32_t threshold = (0u - count) % count;
        for (;;) {
            const std::uint64_t product = std::uint64_t{next()} * count;
            if (static_cast<std::uint32_t>(product) >= threshold)
                return static_cast<std::uint32_t>(product >> 32);
        }
    }

private:
    std::uint64_t seed_, stream_, index_ = 0;
    RandomBlock block_{};
    std::uint32_t at_ = 4;
};

/// Standard normal value number `index` of `stream` (Box-Muller on one Philox block, in double).
inline float normal_at(std::uint64_t seed, std::uint64_t stream, std::uint64_t index) {
    const RandomBlock bits = philox(
        seed, {{static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32),
                static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(stream >> 32)}});
    const double u = (bits[0] + 1.0) * 0x1p-32, angle = bits[1] * 0x1p-32 * 6.283185307179586;
    return static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(angle));
}

}  // namespace zeropp
