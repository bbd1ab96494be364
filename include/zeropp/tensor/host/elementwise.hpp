// SPDX-License-Identifier: Apache-2.0
/// \file Host: loops over the elements of rows, with or without dropout.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include <zeropp/device/host.hpp>
#include <zeropp/tensor/gradient.hpp>
#include <zeropp/tensor/host/dropout.hpp>
#include <zeropp/tensor/host/lanes.hpp>
#include <zeropp/tensor/scalar.hpp>

namespace zeropp {

/// Rows of `width` channels, `length` of them an example, and what falls out of them.
struct DropoutRows {
    std::size_t rows = 0, width = 0, length = 1;
    Dropout dropout;
    std::uint64_t seed = 0;
    std::span<const std::uint64_t> ordinals;  ///< one an example

    DropoutRow row(std::size_t index) const {
        return {seed, dropout.operation, ordinals[index / length], index % length};
    }
};

namespace lanes {

/// body(row, first channel, count, factors) over pieces of at most 64 channels; `factors` holds
/// what each channel is multiplied with, or is all ones where nothing falls out.
template <class W, class Body>
ZEROPP_INLINE inline void for_each_piece(const DropoutRows& all, Body body) {
    W factors[dropout_group];
    for (std::size_t c = 0; c < dropout_group; ++c) factors[c] = 1;
    const bool active = all.dropout.active();
    const std::uint32_t threshold = all.dropout.threshold();
    const W scale = static_cast<W>(all.dropout.scale());
    for (std::size_t index = 0; index < all.rows; ++index)
        for (std::size_t first = 0; first < all.width; first += dropout_group) {
            if (active)
                dropout_factors(all.row(index), first / dropout_group, threshold, scale, factors);
            body(index, first, std::min(dropout_group, all.width - first),
                 static_cast<const W*>(factors));
        }
}

}  // namespace lanes

/// out = base + dropout(in); a null base is zero. `out` may be `in`.
template <Scalar E>
void dropout_forward(Host, const DropoutRows& all, const E* in, const E* base, E* out) {
    using W = Wide<E>;
    vectorized([&]() ZEROPP_INLINE {
        lanes::for_each_piece<W>(all, [=](std::size_t row, std::size_t first, std::size_t count,
                                          const W* factors) ZEROPP_INLINE {
            const std::size_t at = row * all.width + first;
            if (base == nullptr)
                for (std::size_t c = 0; c < count; ++c)
                    out[at + c] = static_cast<E>(static_cast<W>(in[at + c]) * factors[c]);
            else
                for (std::size_t c = 0; c < count; ++c)
                    out[at + c] = static_cast<E>(lanes::fma(static_cast<W>(in[at + c]), factors[c],
                                                            static_cast<W>(base[at + c])));
        });
    });
}

/// out = factor * in, or with add, out + factor * in. `out` may be `in`.
template <Scalar E>
void scale_elements(Host, std::size_t count, Wide<E> factor, const E* in, Gradient<E> out) {
    using W = Wide<E>;
    vectorized([&]() ZEROPP_INLINE {
        E* const to = out.data;
        const E* const from = in;
        const W f = factor;
        if (out.add)
            for (std::size_t i = 0; i < count; ++i)
                to[i] =
                    static_cast<E>(lanes::fma(f, static_cast<W>(from[i]), static_cast<W>(to[i])));
        else
            for (std::size_t i = 0; i < count; ++i)
                to[i] = static_cast<E>(f * static_cast<W>(from[i]));
    });
}

/// x = |x| < from ? x : to with its sign; NaN stays.
template <Scalar E>
void clamp_forward(Host, std::size_t count, Wide<E> from, Wide<E> to, E* x) {
    using W = Wide<E>;
    vectorized([&]() ZEROPP_INLINE {
        E* const at = x;
        const W low = from, high = to;
        for (std::size_t i = 0; i < count; ++i) {
            const W value = static_cast<W>(at[i]);
            const W above = value >= low ? high : value;
            at[i] = static_cast<E>(value <= -low ? -high : above);
        }
    });
}

/// dx (+)= |out| == to ? 0 : dout. `dx` may be `dout`.
template <Scalar E>
void clamp_backward(Host, std::size_t count, Wide<E> to, const E* out, const E* dout,
                    Gradient<E> dx) {
    using W = Wide<E>;
    vectorized([&]() ZEROPP_INLINE {
        E* const into = dx.data;
        const E *const result = out, *const grad = dout;
        const W limit = to;
        for (std::size_t i = 0; i < count; ++i) {
            const W value = static_cast<W>(result[i]);
            const W slope = value == limit || value == -limit ? W{0} : static_cast<W>(grad[i]);
            into[i] = static_cast<E>(dx.add ? static_cast<W>(into[i]) + slope : slope);
        }
    });
}

/// sums (+)= in.
template <Scalar E>
void add_widened(Host, std::size_t count, const E* in, Gradient<Wide<E>> sums) {
    using W = Wide<E>;
    vectorized([&]() ZEROPP_INLINE {
        W* __restrict const to = sums.data;
        const E* __restrict const from = in;
        if (sums.add)
            for (std::size_t i = 0; i < count; ++i) to[i] += static_cast<W>(from[i]);
        else
            for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<W>(from[i]);
    });
}

/// out = in, rounded.
template <Scalar E>
void round_elements(Host, std::size_t count, const Wide<E>* in, E* out) {
    vectorized([&]() ZEROPP_INLINE {
        E* __restrict const to = out;
        const Wide<E>* __restrict const from = in;
        for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<E>(from[i]);
    });
}

}  // namespace zeropp
