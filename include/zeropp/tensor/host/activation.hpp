// SPDX-License-Identifier: Apache-2.0
/// \file Host: a rectifier, and activation functions that gate another projection, with dropout.
#pragma once

#include <zeropp/tensor/functions.hpp>
#include <zeropp/tensor/gradient.hpp>
#include <zeropp/tensor/host/elementwise.hpp>

namespace zeropp {

namespace lanes {

template <class W, Scalar E>
ZEROPP_INLINE inline void contribute(E* __restrict to, const W* __restrict from, std::size_t count,
                                     bool add) {
    if (add)
        for (std::size_t i = 0; i < count; ++i)
            to[i] = static_cast<E>(static_cast<W>(to[i]) + from[i]);
    else
        for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<E>(from[i]);
}

}  // namespace lanes

/// x = dropout(max(x, 0)), in place.
template <Scalar E>
void relu_forward(Host, const DropoutRows& all, E* x) {
    using W = Wide<E>;
    vectorized([&]() ZEROPP_INLINE {
        lanes::for_each_piece<W>(all, [=](std::size_t row, std::size_t first, std::size_t count,
                                          const W* factors) ZEROPP_INLINE {
            E* const at = x + row * all.width + first;
            for (std::size_t c = 0; c < count; ++c)
                at[c] = static_cast<E>(Relu::value(static_cast<W>(at[c])) * factors[c]);
        });
    });
}

/// What was dropped or negative is 0 in `out`: dx (+)= out > 0 ? dropout's scale * dout : 0.
template <Scalar E>
void relu_backward(Host, std::size_t count, Wide<E> scale, const E* out, const E* dout,
                   Gradient<E> dx) {
    using W = Wide<E>;
    vectorized([&]() ZEROPP_INLINE {
        E* const to = dx.data;
        const E *const result = out, *const grad = dout;
        const W f = scale;
        if (dx.add)
            for (std::size_t i = 0; i < count; ++i)
                to[i] = static_cast<E>(lanes::fma(static_cast<W>(result[i]) > W{0} ? f : W{0},
                                                  static_cast<W>(grad[i]), static_cast<W>(to[i])));
        else
            for (std::size_t i = 0; i < count; ++i)
                to[i] = static_cast<E>((static_cast<W>(result[i]) > W{0} ? f : W{0}) *
                                       static_cast<W>(grad[i]));
    });
}

/// out = dropout(F(gate) * linear).
template <class F, Scalar E>
void gate_forward(Host, const DropoutRows& all, Strided<const E> gate, Strided<const E> linear,
                  E* out) {
    using W = Wide<E>;
    vectorized([&]() ZEROPP_INLINE {
        lanes::for_each_piece<W>(all, [=](std::size_t row, std::size_t first, std::size_t count,
                                          const W* factors) ZEROPP_INLINE {
            const E* __restrict const a = gate.data + row * gate.stride + first;
            const E* __restrict const b = linear.data + row * linear.stride + first;
            E* __restrict const to = out + row * all.width + first;
            for (std::size_t c = 0; c < count; ++c)
                to[c] = static_cast<E>(F::value(static_cast<W>(a[c])) * static_cast<W>(b[c]) *
                                       factors[c]);
        });
    });
}

/// Contributes dgate = dropout(dout) * linear * F'(gate) and dlinear = dropout(dout) * F(gate).
template <class F, Scalar E>
void gate_backward(Host, const DropoutRows& all, Strided<const E> gate, Strided<const E> linear,
                   const E* dout, Strided<E> dgate, bool add_gate, Strided<E> dlinear,
                   bool add_linear) {
    using W = Wide<E>;
    vectorized([&]() ZEROPP_INLINE {
        W of_gate[lanes::dropout_group], of_linear[lanes::dropout_group];
        W* const da = of_gate;
        W* const db = of_linear;
        lanes::for_each_piece<W>(all, [=](std::size_t row, std::size_t first, std::size_t count,
                                          const W* factors) ZEROPP_INLINE {
            const E* __restrict const a = gate.data + row * gate.stride + first;
            const E* __restrict const grad = dout + row * all.width + first;
            const E* __restrict const b = linear.data + row * linear.stride + first;
            for (std::size_t c = 0; c < count; ++c) {
                const W g = static_cast<W>(grad[c]) * factors[c];
                const auto [value, slope] = F::value_and_slope(static_cast<W>(a[c]));
                db[c] = g * value;
                da[c] = g * static_cast<W>(b[c]) * slope;
            }
            lanes::contribute(dlinear.data + row * dlinear.stride + first, db, count, add_linear);
            lanes::contribute(dgate.data + row * dgate.stride + first, da, count, add_gate);
        });
    });
}

}  // namespace zeropp
