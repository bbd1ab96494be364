// SPDX-License-Identifier: Apache-2.0
/// \file The non-linear step between a feed-forward's two products.
#pragma once

#include <zeropp/tensor/columns.hpp>
#include <zeropp/tensor/dropout.hpp>
#include <zeropp/tensor/host/activation.hpp>
#include <zeropp/tensor/pass_on.hpp>
#include <zeropp/tensor/rows.hpp>
#include <zeropp/tensor/tape.hpp>

namespace zeropp {

namespace detail {

template <Scalar E, Device D, class P>
struct GatedGeluNode : Tape<E, D, P>::Node {
    Columns<E> gate, linear;
    Var<E> out;
    Dropout dropout;

    void run(Tape<E, D, P>& tape) {
        const E* const dout = tape.gradient_of(out);
        if (dout == nullptr) return;
        const ColumnGradients<E, 2> into{tape, {gate, linear}};
        if (tape.is_measuring()) return;
        gate_backward<GeluNew, E>(tape.device(), dropout_rows(tape, out.shape(), dropout),
                                  gate.view(), linear.view(), dout, into.view(0), into.add(0),
                                  into.view(1), into.add(1));
    }
};

}  // namespace detail

/// dropout(max(x, 0)), in the memory of x: no other operation may read x.
template <Scalar E, Device D, class P>
Var<E> relu(Tape<E, D, P>& tape, Var<E> x, Dropout dropout = {}) {
    const Var<E> out = tape.make_from(x, x);
    if (!tape.is_measuring())
        relu_forward(tape.device(), detail::dropout_rows(tape, x.shape(), dropout), x.data());
    detail::record_pass_on(
        tape, x, out, [out, dropout](auto& on, const E* dout, const Gradient<E>& dx) {
            relu_backward(on.device(), out.shape().size(), static_cast<Wide<E>>(dropout.scale()),
                          out.data(), dout, dx);
        });
    return out;
}

/// dropout(gelu(gate) * linear) of T5 1.1, gelu(x) = x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715
/// x^3))). The two may be columns of one value (wi_0 and wi_1 back to back), which they then cover.
/// Backward reads both again.
template <Scalar E, Device D, class P>
Var<E> gated_gelu(Tape<E, D, P>& tape, Columns<E> gate, Columns<E> linear, Dropout dropout = {}) {
    require(gate.count == linear.count && gate.var.shape().rows() == linear.var.shape().rows(),
            Errc::shape, "gated_gelu: ", gate.count, " channels of ", gate.var.shape(), " meet ",
            linear.count, " of ", linear.var.shape(),
            ", expected as many rows and channels of both");
    const Var<E> out = tape.make(gate.var.shape().with_width(gate.count));
    if (!tape.is_measuring())
        gate_forward<GeluNew, E>(tape.device(), detail::dropout_rows(tape, out.shape(), dropout),
                                 gate.view(), linear.view(), out.data());
    if (tape.records()) tape.record(detail::GatedGeluNode<E, D, P>{{}, gate, linear, out, dropout});
    return out;
}

}  // namespace zeropp
