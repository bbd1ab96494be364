// SPDX-License-Identifier: Apache-2.0
/// \file Products with a weight.
#pragma once

#include <type_traits>

#include <zeropp/tensor/tape.hpp>

namespace zeropp {

namespace detail {

template <Scalar Out, Scalar E, Device D, class P>
struct LinearNode : Tape<E, D, P>::Node {
    Var<E> x;
    Var<Out> out;
    ParameterRef weight;

    void run(Tape<E, D, P>& tape) {
        const Out* const dout = tape.gradient_of(out);
        if (dout == nullptr) return;
        const Gradient<E> dx = tape.contribute(x), dweight = tape.contribute(weight);
        if (tape.is_measuring()) return;
        const std::size_t rows = x.shape().rows(), in = x.shape().width(),
                          width = out.shape().width();
        if (dx)
            tape.products().gemm(Transpose::no, Transpose::no, rows, in, width, 1.0f, dout, width,
                                 tape.values(weight), in, dx.add ? 1.0f : 0.0f, dx.data, in);
        if (dweight)
            tape.products().gemm(Transpose::yes, Transpose::no, width, in, rows, 1.0f, dout, width,
                                 x.data(), in, dweight.add ? 1.0f : 0.0f, dweight.data, in);
    }
};

}  // namespace detail

/// y = x * weight^T, weight [out, in]: the last axis of x goes from `in` to `out` channels. Weights
/// that stand back to back (query, key, value) may be named as one of [sum of outs, in].
/// `linear<Stream<E>>` gives a branch of a residual stream, not rounded to E.
template <class Out = void, Scalar E, Device D, class P>
auto linear(Tape<E, D, P>& tape, Var<E> x, const ParameterRef& weight) {
    using Y = std::conditional_t<std::is_void_v<Out>, E, Out>;
    const std::size_t rows = x.shape().rows(), in = x.shape().width();
    require(weight.shape.rank() == 2 && weight.shape[1] == in, Errc::shape,
            "linear: the weight has shape ", weight.shape, ", expected [out, ", in, "]");
    const std::size_t width = weight.shape[0];
    const Var<Y> out = tape.template make<Y>(x.shape().with_width(width));
    if (!tape.is_measuring())
        tape.products().gemm(Transpose::no, Transpose::yes, rows, width, in, 1.0f, x.data(), in,
                             tape.values(weight), in, 0.0f, out.data(), width);
    if (tape.records()) tape.record(detail::LinearNode<Y, E, D, P>{{}, x, out, weight});
    return out;
}

}  // namespace zeropp
