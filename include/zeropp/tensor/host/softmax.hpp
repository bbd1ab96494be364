// SPDX-License-Identifier: Apache-2.0
/// \file Host: rows of attention weights.
#pragma once

#include <cstddef>
#include <limits>

#include <zeropp/tensor/host/dropout.hpp>
#include <zeropp/tensor/host/lanes.hpp>

namespace zeropp::lanes {

/// What backward needs to compute a row of weights again: weight = e^(score - high) * factor.
template <class W>
struct SoftmaxRow {
    W high, factor;
};

/// scores + bias + mask over `width` (whole lanes) elements, then -infinity from `seen` on.
template <class W>
ZEROPP_INLINE inline void complete_scores(W* __restrict row, std::size_t width, std::size_t seen,
                                          const W* __restrict bias, const W* __restrict mask) {
    if (bias != nullptr)
        for (std::size_t i = 0; i < width; ++i) row[i] = row[i] + bias[i] + mask[i];
    else
        for (std::size_t i = 0; i < width; ++i) row[i] = row[i] + mask[i];
    for (std::size_t i = seen; i < width; ++i) row[i] = -std::numeric_limits<W>::infinity();
}

/// Completed scores to weights, in place; a row without a finite score becomes zero.
template <class W>
ZEROPP_INLINE inline SoftmaxRow<W> softmax(W* __restrict row, std::size_t width) {
    const W largest_score = largest<W>(width, [=](std::size_t i) ZEROPP_INLINE { return row[i]; });
    const W high = largest_score == -std::numeric_limits<W>::infinity() ? W{0} : largest_score;
    for (std::size_t i = 0; i < width; ++i) row[i] = lanes::exp(row[i] - high);
    const W total =
        sum<W>(width, [=](std::size_t i, W so_far) ZEROPP_INLINE { return so_far + row[i]; });
    const W factor = total == W{0} ? W{0} : W{1} / total;
    for (std::size_t i = 0; i < width; ++i) row[i] *= factor;
    return {high, factor};
}

/// The same weights from completed scores and what `softmax` gave.
template <class W>
ZEROPP_INLINE inline void softmax_again(W* __restrict row, std::size_t width, SoftmaxRow<W> was) {
    for (std::size_t i = 0; i < width; ++i) row[i] = lanes::exp(row[i] - was.high) * was.factor;
}

/// Whole groups of dropout that hold `width` weights.
constexpr std::size_t dropout_padded(std::size_t width) {
    return (width + dropout_group - 1) / dropout_group * dropout_group;
}

/// Dropout's factors of a row of weights; each head has its own channels.
template <class W>
ZEROPP_INLINE inline void weight_factors(const DropoutRow& row, std::size_t head,
                                         const Dropout& dropout, std::size_t width, W* factors) {
    for (std::size_t first = 0; first < width; first += dropout_group)
        dropout_factors(row, (head << 10) + first / dropout_group, dropout.threshold(),
                        static_cast<W>(dropout.scale()), factors + first);
}

template <class W>
ZEROPP_INLINE inline void multiply(W* __restrict row, const W* __restrict factors,
                                   std::size_t width) {
    for (std::size_t i = 0; i < width; ++i) row[i] *= factors[i];
}

/// weights P (before dropout), dW (gradient of the weights, before dropout):
/// dS = P * (dW - sum(P dW)), in place of dW.
template <class W>
ZEROPP_INLINE inline void softmax_backward(const W* __restrict weights, W* __restrict grads,
                                           std::size_t width) {
    const W dot = sum<W>(width, [=](std::size_t i, W so_far)
                                    ZEROPP_INLINE { return fma(weights[i], grads[i], so_far); });
    for (std::size_t i = 0; i < width; ++i) grads[i] = weights[i] * (grads[i] - dot);
}

}  // namespace zeropp::lanes
