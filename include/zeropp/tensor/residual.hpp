// SPDX-License-Identifier: Apache-2.0
/// \file The residual stream: sums, dropout and constant factors, in place where they can be.
#pragma once

#include <zeropp/tensor/pass_on.hpp>
#include <zeropp/tensor/rows.hpp>
#include <zeropp/tensor/tape.hpp>

namespace zeropp {

namespace detail {

template <Scalar T, Scalar E, Device D, class P>
struct ResidualNode : Tape<E, D, P>::Node {
    Var<T> x, branch, out;
    Dropout dropout;

    void run(Tape<E, D, P>& tape) {
        const T* const dout = tape.gradient_of(out);
        if (dout == nullptr) return;
        const Gradient<T> dx = tape.pass_on(out, x), dbranch = tape.contribute_taken(branch);
        if (tape.is_measuring()) return;
        if (dx.data != dout)
            scale_elements(tape.device(), out.shape().size(), Wide<T>{1}, dout, dx);
        if (!dbranch) return;  // a constant
        dropout_forward(tape.device(), dropout_rows(tape, out.shape(), dropout), dout,
                        dbranch.add ? dbranch.data : nullptr, dbranch.data);
    }
};

}  // namespace detail

/// x + dropout(branch). Takes over the branch's memory: no other operation may read the branch. The
/// gradient of the result becomes that of x, in the same place.
template <Scalar T, Scalar E, Device D, class P>
Var<T> residual_add(Tape<E, D, P>& tape, Var<T> x, Var<T> branch, Dropout dropout = {}) {
    require(x.shape() == branch.shape(), Errc::shape, "residual_add: shapes ", x.shape(), " and ",
            branch.shape(), ", expected equal ones");
    const Var<T> out = tape.make_from(branch, x);
    if (!tape.is_measuring())
        dropout_forward(tape.device(), detail::dropout_rows(tape, x.shape(), dropout),
                        branch.data(), x.data(), out.data());
    if (tape.records()) tape.record(detail::ResidualNode<T, E, D, P>{{}, x, branch, out, dropout});
    return out;
}

/// dropout(x), in the memory of x: no other operation may read x. Rate 0 gives x itself.
template <Scalar T, Scalar E, Device D, class P>
Var<T> dropped(Tape<E, D, P>& tape, Var<T> x, Dropout dropout) {
    if (!dropout.active()) return x;
    const Var<T> out = tape.make_from(x, x);
    if (!tape.is_measuring())
        dropout_forward(tape.device(), detail::dropout_rows(tape, x.shape(), dropout), x.data(),
                        static_cast<const T*>(nullptr), out.data());
    detail::record_pass_on(
        tape, x, out, [out, dropout](auto& on, const T* dout, const Gradient<T>& dx) {
            dropout_forward(on.device(), detail::dropout_rows(on, out.shape(), dropout), dout,
                            dx.add ? dx.data : nullptr, dx.data);
        });
    return out;
}

/// x, but `to` with its sign where |x| is `from` or more, in the memory of x: no other operation
/// may read x. Such an element has gradient zero; NaN stays. 0 < to < from.
template <Scalar T, Scalar E, Device D, class P>
Var<T> clamped(Tape<E, D, P>& tape, Var<T> x, float from, float to) {
    const Var<T> out = tape.make_from(x, x);
    if (!tape.is_measuring())
        clamp_forward(tape.device(), x.shape().size(), static_cast<Wide<T>>(from),
                      static_cast<Wide<T>>(to), x.data());
    detail::record_pass_on(tape, x, out, [out, to](auto& on, const T* dout, const Gradient<T>& dx) {
        clamp_backward(on.device(), out.shape().size(), static_cast<Wide<T>>(to), out.data(), dout,
                       dx);
    });
    return out;
}

/// factor * x.
template <Scalar T, Scalar E, Device D, class P>
Var<T> scaled(Tape<E, D, P>& tape, Var<T> x, float factor) {
    const Var<T> out = tape.template make<T>(x.shape());
    if (!tape.is_measuring())
        scale_elements(tape.device(), x.shape().size(), static_cast<Wide<T>>(factor),
                       static_cast<const T*>(x.data()), Gradient<T>{out.data()});
    detail::record_pass_on(
        tape, x, out, [size = x.shape().size(), factor](auto& on, const T* dout, Gradient<T> dx) {
            scale_elements(on.device(), size, static_cast<Wide<T>>(factor), dout, dx);
        });
    return out;
}

}  // namespace zeropp
