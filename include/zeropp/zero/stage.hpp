// SPDX-License-Identifier: Apache-2.0
/// \file A ZeRO stage is three answers; the engine knows nothing else about it.
/// Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models",
/// 2020.
#pragma once

#include <concepts>

namespace zeropp {

// clang-format off
template <class S>
concept Stage = requires {
    { S::shards_optimizer } -> std::convertible_to<bool>;
    { S::shards_gradients } -> std::convertible_to<bool>;
    { S::shards_parameters } -> std::convertible_to<bool>;
} && (S::shards_optimizer >= S::shards_gradients) && (S::shards_gradients >= S::shards_parameters);
// clang-format on

template <int N>
struct Zero {
    static_assert(0 <= N && N <= 3, "zeropp: a ZeRO stage is 0, 1, 2 or 3");
    static constexpr int number = N;
    static constexpr bool shards_optimizer = N >= 1;
    static constexpr bool shards_gradients = N >= 2;
    static constexpr bool shards_parameters = N >= 3;
};

template <int N>
inline constexpr Zero<N> zero{};

}  // namespace zeropp
