// SPDX-License-Identifier: Apache-2.0
/// \file Host: loss and gradient of logits.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include <zeropp/device/host.hpp>
#include <zeropp/tensor/gradient.hpp>
#include <zeropp/tensor/host/lanes.hpp>

namespace zeropp {

/// Sum over rows of log(sum e^logits) - logits[label]. With `factor` other than 0 the logits become
/// their gradient, factor * (softmax - 1 at the label).
template <Scalar E>
double cross_entropy_rows(Host, std::size_t rows, std::size_t vocabulary, E* logits,
                          const std::int32_t* labels, Wide<E> factor) {
    using W = Wide<E>;
    double loss = 0;
    vectorized([&]() ZEROPP_INLINE {
        for (std::size_t row = 0; row < rows; ++row) {
            E* __restrict const at = logits + row * vocabulary;
            const auto label = static_cast<std::size_t>(labels[row]);
            const W high = lanes::largest<W>(
                vocabulary, [=](std::size_t i) ZEROPP_INLINE { return static_cast<W>(at[i]); });
            const W total = lanes::sum<W>(vocabulary, [=](std::size_t i, W so_far) ZEROPP_INLINE {
                return so_far + lanes::exp(static_cast<W>(at[i]) - high);
            });
            loss += std::log(static_cast<double>(total)) +
                    static_cast<double>(high - static_cast<W>(at[label]));
            if (factor == W{0}) continue;
            const W scale = factor / total;
            const W at_label = static_cast<W>(at[label]);
            for (std::size_t i = 0; i < vocabulary; ++i)
                at[i] = static_cast<E>(lanes::exp(static_cast<W>(at[i]) - high) * scale);
            at[label] = static_cast<E>(lanes::fma(lanes::exp(at_label - high), scale, -factor));
        }
    });
    return loss;
}

/// out[i] = factor * x[rows[i]].
template <Scalar E>
void gather_scaled(Host, E* out, const E* x, const std::uint32_t* rows, std::size_t count,
                   std::size_t width, Wide<E> factor) {
    using W = Wide<E>;
    vectorized([&]() ZEROPP_INLINE {
        for (std::size_t i = 0; i < count; ++i) {
            E* __restrict const to = out + i * width;
            const E* __restrict const from = x + rows[i] * width;
            for (std::size_t c = 0; c < width; ++c)
                to[c] = static_cast<E>(static_cast<W>(from[c]) * factor);
        }
    });
}

/// x[rows[i]] += factor * in[i].
template <Scalar E>
void scatter_scaled(Host, E* x, const E* in, const std::uint32_t* rows, std::size_t count,
                    std::size_t width, Wide<E> factor) {
    using W = Wide<E>;
    vectorized([&]() ZEROPP_INLINE {
        for (std::size_t i = 0; i < count; ++i) {
            E* __restrict const to = x + rows[i] * width;
            const E* __restrict const from = in + i * width;
            for (std::size_t c = 0; c < width; ++c)
                to[c] = static_cast<E>(
                    lanes::fma(static_cast<W>(from[c]), factor, static_cast<W>(to[c])));
        }
    });
}

}  // namespace zeropp
