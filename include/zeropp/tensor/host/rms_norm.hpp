// SPDX-License-Identifier: Apache-2.0
/// \file Host: T5's layer norm.
#pragma once

#include <cmath>
#include <cstddef>

#include <zeropp/device/host.hpp>
#include <zeropp/tensor/gradient.hpp>
#include <zeropp/tensor/host/lanes.hpp>

namespace zeropp {

template <Scalar T, Scalar E>
void rms_norm_forward(Host, std::size_t rows, std::size_t width, const T* x, const E* weight,
                      float eps, E* y, Wide<E>* scales) {
    using W = Wide<E>;
    vectorized([&]() ZEROPP_INLINE {
        for (std::size_t row = 0; row < rows; ++row) {
            const T* __restrict const in = x + row * width;
            const E* __restrict const w = weight;
            E* __restrict const out = y + row * width;
            const W squares = lanes::sum<W>(width, [=](std::size_t c, W so_far) ZEROPP_INLINE {
                const W value = static_cast<W>(in[c]);
                return lanes::fma(value, value, so_far);
            });
            const W scale = W{1} / std::sqrt(squares / static_cast<W>(width) + static_cast<W>(eps));
            scales[row] = scale;
            for (std::size_t c = 0; c < width; ++c) {
                const E normal = static_cast<E>(static_cast<W>(in[c]) * scale);
                out[c] = static_cast<E>(static_cast<W>(normal) * static_cast<W>(w[c]));
            }
        }
    });
}

/// With n = x * scale and g = dy * weight: dx = scale * (g - n * mean(g n)), dweight = sum of dy n
/// over rows. `sums`: `width` elements of scratch.
template <Scalar T, Scalar E>
void rms_norm_backward(Host, std::size_t rows, std::size_t width, const T* x, const E* weight,
                       const Wide<E>* scales, const E* dy, Gradient<T> dx, Gradient<E> dweight,
                       Wide<E>* sums) {
    using W = Wide<E>;
    vectorized([&]() ZEROPP_INLINE {
        for (std::size_t c = 0; c < width; ++c) sums[c] = 0;
        for (std::size_t row = 0; row < rows; ++row) {
            const T* __restrict const in = x + row * width;
            const E* __restrict const grad = dy + row * width;
            const E* __restrict const w = weight;
            W* __restrict const total = sums;
            const W scale = scales[row];
            const W dot = lanes::sum<W>(width, [=](std::size_t c, W so_far) ZEROPP_INLINE {
                const W g = static_cast<W>(grad[c]) * static_cast<W>(w[c]);
                return lanes::fma(g, static_cast<W>(in[c]), so_far);
            });
            const W pull = -(dot * scale / static_cast<W>(width)) * scale;
            for (std::size_t c = 0; c < width; ++c)
                total[c] =
                    lanes::fma(static_cast<W>(grad[c]), static_cast<W>(in[c]) * scale, total[c]);
            if (!dx) continue;
            T* __restrict const out = dx.data + row * width;
            const auto inner = [=](std::size_t c) ZEROPP_INLINE {
                const W g = static_cast<W>(grad[c]) * static_cast<W>(w[c]);
                return lanes::fma(pull, static_cast<W>(in[c]), g);
            };
            if (dx.add)
                for (std::size_t c = 0; c < width; ++c)
                    out[c] = static_cast<T>(lanes::fma(scale, inner(c), static_cast<W>(out[c])));
            else
                for (std::size_t c = 0; c < width; ++c) out[c] = static_cast<T>(scale * inner(c));
        }
        if (dweight) {
            E* __restrict const out = dweight.data;
            for (std::size_t c = 0; c < width; ++c)
                out[c] = static_cast<E>(dweight.add ? static_cast<W>(out[c]) + sums[c] : sums[c]);
        }
    });
}

}  // namespace zeropp
