// SPDX-License-Identifier: Apache-2.0
/// \file The record of an operation of one input whose backward can work in place.
#pragma once

#include <zeropp/tensor/tape.hpp>

namespace zeropp::detail {

template <class Backward, Scalar T, Scalar E, Device D, class P>
struct PassOnNode : Tape<E, D, P>::Node {
    Var<T> x, out;
    Backward backward_of;

    void run(Tape<E, D, P>& tape) {
        const T* const dout = tape.gradient_of(out);
        if (dout == nullptr) return;
        const Gradient<T> dx = tape.pass_on(out, x);
        if (!tape.is_measuring()) backward_of(tape, dout, dx);
    }
};

/// `backward(tape, dout, dx)`: dx may be dout itself.
template <Scalar T, Scalar E, Device D, class P, class Backward>
void record_pass_on(Tape<E, D, P>& tape, Var<T> x, Var<T> out, Backward backward) {
    if (tape.records()) tape.record(PassOnNode<Backward, T, E, D, P>{{}, x, out, backward});
}

}  // namespace zeropp::detail
