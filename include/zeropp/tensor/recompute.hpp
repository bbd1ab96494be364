// SPDX-License-Identifier: Apache-2.0
/// \file Activations computed again instead of kept: Chen et al., "Training deep nets with
/// sublinear memory cost", 2016.
#pragma once

#include <cstddef>
#include <type_traits>

#include <zeropp/tensor/tape.hpp>

namespace zeropp {

namespace detail {

template <class Body, Scalar In, Scalar Out, Scalar E, Device D, class P>
struct RecomputeNode : Tape<E, D, P>::Node {
    std::size_t unit;
    Var<In> in;
    Var<Out> out;
    Body body;

    void run(Tape<E, D, P>& tape) {
        in.value()->taken = false;
        tape.replay(unit, [this] {
            Body again = body;
            const Var<Out> result = again(in);
            result.value()->gradient = out.value()->gradient;
            result.value()->written = out.value()->written;
        });
    }
};

}  // namespace detail

/// body(in), the unit's work, of which only the result is kept: backward runs it again before it
/// runs it backward. `body` is copied, is trivially destructible, and does the same each time it is
/// called; it is returned as its first call has left it. `out`'s memory and gradient outlive the
/// unit, so `out` is made before it, with its gradient reserved. Nothing but the body may read `in`
/// afterwards. Law: the bits are those of recording the body.
template <class Body, Scalar In, Scalar Out, Scalar E, Device D, class P>
Body recompute(Tape<E, D, P>& tape, std::size_t unit, Var<In> in, Var<Out> out, const Body& body) {
    static_assert(std::is_trivially_destructible_v<Body>);
    const std::size_t mark = tape.arena().mark();
    Body once = body;
    tape.unrecorded([&] {
        tape.enter(unit);
        const Var<Out> result = once(in);
        if (!tape.is_measuring())
            tape.device().copy(reinterpret_cast<std::byte*>(out.data()),
                               reinterpret_cast<const std::byte*>(result.data()),
                               out.tensor().elements().size_bytes());
        tape.leave(unit);
    });
    tape.arena().release(mark);
    if (tape.records())
        tape.record(detail::RecomputeNode<Body, In, Out, E, D, P>{{}, unit, in, out, body});
    return once;
}

}  // namespace zeropp
