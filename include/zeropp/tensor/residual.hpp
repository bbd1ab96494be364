// SPDX-License-Identifier: Apache-2.0
/// \file The residual stream: sums, dropout and constant factors, in place where they can be.
#pragma once

#include <zeropp/tensor/pass_on.hpp>
#include <zeropp/tensor/rows.hpp>
#include <zeropp/tensor/tape.hpp>

namespace zeropp {

namespace detail {

template <Scalar E, Device D, class P>
struct ResidualNode : Tape<E, D, P>::Node {
    Var<E> x, branch, out;
    Dropout dropout;

    void run(Tape<E, D, P>& tape) {
        const E* const dout = tape.gradient_of(out);
        if (dout == nullptr) return;
        const Gradient<E> dx = tape.pass_on(out, x), dbranch = tape.contribute_taken(branch);
        if (tape.is_measuring()) return;
        if (dx.data != dout)
            scale_elements(tape.device(), out.shape().size(), Wide<E>{1}, dout, dx);
        dropout_forward(tape.device(), dropout_rows(tape, out.shape(), dropout), dout,
                        dbranch.add ? dbranch.data : nullptr, dbranch.data);
    }
};

}  // namespace detail

/// x + dropout(branch). Takes over the branch's memory: no other operation may read the branch. The
/// gradient of the result becomes that of x, in the same place.
template <Scalar E, Device D, class P>
Var<E> residual_add(Tape<E, D, P>& tape, Var<E> x, Var<E> branch, Dropout dropout = {}) {
    require(x.shape() == branch.shape(), Errc::shape, "residual_add: shapes ", x.shape(), " and ",
            branch.shape(), ", expected equal ones");
    const Var<E> out = tape.make_from(branch, x);
    if (!tape.is_measuring())
        dropout_forward(tape.device(), detail::dropout_rows(tape, x.shape(), dropout),
                        branch.data(), x.data(), out.data());
    if (tape.records()) tape.record(detail::ResidualNode<E, D, P>{{}, x, branch, out, dropout});
    return out;
}

/// dropout(x), in the memory of x: no other operation may read x. Rate 0 gives x itself.
template <Scalar E, Device D, class P>
Var<E> dropped(Tape<E, D, P>& tape, Var<E> x, Dropout dropout) {
    if (!dropout.active()) return x;
    const Var<E> out = tape.make_from(x, x);
    if (!tape.is_measuring())
        dropout_forward(tape.device(), detail::dropout_rows(tape, x.shape(), dropout), x.data(),
                        static_cast<const E*>(nullptr), out.data());
    detail::record_pass_on(
        tape, x, out, [out, dropout](auto& on, const E* dout, const Gradient<E>& dx) {
            dropout_forward(on.device(), detail::dropout_rows(on, out.shape(), dropout), dout,
                            dx.add ? dx.data : nullptr, dx.data);
        });
    return out;
}

/// factor * x.
template <Scalar E, Device D, class P>
Var<E> scaled(Tape<E, D, P>& tape, Var<E> x, float factor) {
    const Var<E> out = tape.make(x.shape());
    if (!tape.is_measuring())
        scale_elements(tape.device(), x.shape().size(), static_cast<Wide<E>>(factor),
                       static_cast<const E*>(x.data()), Gradient<E>{out.data()});
    detail::record_pass_on(
        tape, x, out, [size = x.shape().size(), factor](auto& on, const E* dout, Gradient<E> dx) {
            scale_elements(on.device(), size, static_cast<Wide<E>>(factor), dout, dx);
        });
    return out;
}

}  // namespace zeropp
