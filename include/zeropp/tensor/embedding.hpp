// SPDX-License-Identifier: Apache-2.0
/// \file Rows of a table by number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include <zeropp/tensor/host/rows.hpp>
#include <zeropp/tensor/tape.hpp>

namespace zeropp {

namespace detail {

template <Scalar Out, Scalar E, Device D, class P>
struct EmbeddingNode : Tape<E, D, P>::Node {
    std::span<const std::int32_t> ids;
    ParameterRef table;
    Var<Out> out;

    void run(Tape<E, D, P>& tape) {
        const Out* const dout = tape.gradient_of(out);
        if (dout == nullptr) return;
        const Gradient<E> dtable = tape.contribute(table);
        const std::size_t mark = tape.arena().mark(), width = table.shape.width();
        const std::span order{tape.template take<std::uint64_t>(ids.size()), ids.size()};
        auto* const sum = tape.template take<Wide<E>>(width);
        if (dtable && !tape.is_measuring()) {
            if (!dtable.add) fill_zero(tape.device(), dtable.data, table.shape.size());
            scatter_rows(tape.device(), dtable.data, dout, ids, width, order, sum);
        }
        tape.arena().release(mark);
    }
};

}  // namespace detail

/// x[b, t] = table[ids[b * length + t]]: shape [examples, length, width], with ids.size() =
/// examples * length and table [rows, width]. `ids` must live until backward has run.
/// `embedding<Stream<E>>` begins a residual stream.
template <class Out = void, Scalar E, Device D, class P>
auto embedding(Tape<E, D, P>& tape, std::span<const std::int32_t> ids, std::size_t examples,
               const ParameterRef& table) {
    using X = std::conditional_t<std::is_void_v<Out>, E, Out>;
    const std::size_t rows = table.shape.rows(), width = table.shape.width();
    require(examples != 0 && ids.size() % examples == 0, Errc::shape, "embedding: ", ids.size(),
            " ids, expected a multiple of ", examples, " examples");
    const Var<X> out = tape.template make<X>({examples, ids.size() / examples, width});
    if (!tape.is_measuring()) {
        for (const std::int32_t id : ids)
            require(id >= 0 && static_cast<std::size_t>(id) < rows, Errc::shape, "embedding: id ",
                    id, ", expected 0 to ", rows - 1);
        gather_rows(tape.device(), out.data(), tape.values(table), ids, width);
    }
    if (tape.records()) tape.record(detail::EmbeddingNode<X, E, D, P>{{}, ids, table, out});
    return out;
}

}  // namespace zeropp
