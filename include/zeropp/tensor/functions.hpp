// SPDX-License-Identifier: Apache-2.0
/// \file Activation functions as named objects: value and slope of one element.
#pragma once

#include <zeropp/core/config.hpp>
#include <zeropp/tensor/host/lanes.hpp>

namespace zeropp {

template <class W>
struct ValueAndSlope {
    W value, slope;
};

struct Relu {
    template <class W>
    ZEROPP_INLINE static W value(W x) {
        return x < W{0} ? W{0} : x;  // NaN stays
    }
};

/// x / 2 * (1 + tanh(u)) = x * sigmoid(2 u), u = sqrt(2 / pi) * (x + 0.044715 x^3): "gelu_new".
struct GeluNew {
    template <class W>
    ZEROPP_INLINE static W value(W x) {
        return x * gate(x);
    }
    template <class W>
    ZEROPP_INLINE static ValueAndSlope<W> value_and_slope(W x) {
        const W s = gate(x);
        const W growth = W(2 * root) * lanes::fma(W(3 * cubic) * x, x, W{1});
        return {x * s, lanes::fma(x * growth * s, W{1} - s, s)};
    }

private:
    static constexpr double cubic = 0.044715;
    static constexpr double root = 0.79788456080286535588;  // sqrt(2 / pi)
    template <class W>
    ZEROPP_INLINE static W gate(W x) {
        const W u = W(2 * root) * x * lanes::fma(W(cubic) * x, x, W{1});
        return lanes::sigmoid(u);
    }
};

}  // namespace zeropp
