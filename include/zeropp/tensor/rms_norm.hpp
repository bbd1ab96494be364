// SPDX-License-Identifier: Apache-2.0
/// \file T5's layer norm: no mean, no bias.
#pragma once

#include <zeropp/tensor/host/rms_norm.hpp>
#include <zeropp/tensor/tape.hpp>

namespace zeropp {

namespace detail {

template <Scalar T, Scalar E, Device D, class P>
struct RmsNormNode : Tape<E, D, P>::Node {
    Var<T> x;
    Var<E> out;
    ParameterRef weight;
    Wide<E>* scales;  ///< rsqrt(mean square + eps) of each row

    void run(Tape<E, D, P>& tape) {
        const E* const dout = tape.gradient_of(out);
        if (dout == nullptr) return;
        const Gradient<T> dx = tape.contribute(x);
        const Gradient<E> dweight = tape.contribute(weight);
        const std::size_t mark = tape.arena().mark(), width = x.shape().width();
        Wide<E>* const sums = tape.template take<Wide<E>>(width);
        if (!tape.is_measuring())
            rms_norm_backward(tape.device(), x.shape().rows(), width, x.data(), tape.values(weight),
                              scales, dout, dx, dweight, sums);
        tape.arena().release(mark);
    }
};

}  // namespace detail

/// y = x / sqrt(mean(x^2) + eps) * weight, over the last axis; the mean square in `Wide`. In 16
/// bits the normalised value is rounded before the weight multiplies it, as Hugging Face's T5 does.
/// x may be a residual stream.
template <Scalar T, Scalar E, Device D, class P>
Var<E> rms_norm(Tape<E, D, P>& tape, Var<T> x, const ParameterRef& weight, float eps) {
    const std::size_t rows = x.shape().rows(), width = x.shape().width();
    require(weight.shape.size() == width, Errc::shape, "rms_norm: the weight has shape ",
            weight.shape, ", expected ", width, " elements");
    const Var<E> out = tape.make(x.shape());
    Wide<E>* const scales = tape.template take<Wide<E>>(rows);
    if (!tape.is_measuring())
        rms_norm_forward(tape.device(), rows, width, x.data(), tape.values(weight), eps, out.data(),
                         scales);
    if (tape.records()) tape.record(detail::RmsNormNode<T, E, D, P>{{}, x, out, weight, scales});
    return out;
}

}  // namespace zeropp
