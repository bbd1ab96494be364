// SPDX-License-Identifier: Apache-2.0
/// \file Attention of several heads with a position bias, T5's: scores are not scaled.
#pragma once

#include <cstdint>
#include <span>

#include <zeropp/tensor/columns.hpp>
#include <zeropp/tensor/dropout.hpp>
#include <zeropp/tensor/host/attention.hpp>
#include <zeropp/tensor/position_bias.hpp>
#include <zeropp/tensor/tape.hpp>

namespace zeropp {

struct AttentionOptions {
    std::size_t heads = 1;
    bool causal = false;  ///< query i sees keys 0 .. i + keys - queries
    /// examples x keys, 1 = may be looked at; empty: all. Must live until backward has run.
    std::span<const std::uint8_t> key_mask = {};
    Dropout dropout = {};  ///< of the weights; channel (head, key)
    /// Keys of each example that count, where k and v have room for more (a cache); 0: all.
    std::size_t keys = 0;
};

namespace detail {

template <Scalar E, Device D, class P>
struct AttentionNode : Tape<E, D, P>::Node {
    Columns<E> q, k, v;
    PositionBias<E> bias;
    Var<E> out;
    AttentionWork<E> work;
    lanes::SoftmaxRow<Wide<E>>* rows;

    void run(Tape<E, D, P>& tape) {
        const E* const dout = tape.gradient_of(out);
        if (dout == nullptr) return;
        const ColumnGradients<E, 3> into{tape, {q, k, v}};
        const std::size_t mark = tape.arena().mark();
        const AttentionScratch<E> scratch{tape.arena(), work, true};
        AttentionGradients<E> to{into.view(0), into.view(1), into.view(2),
                                 into.add(0),  into.add(1),  into.add(2)};
        if (bias && !bias.record->written) {
            bias.record->written = true;
            if (!tape.is_measuring())
                fill_zero(tape.device(), bias.record->gradient,
                          bias.record->heads * bias.record->stride);
        }
        if (bias) to.bias = bias.record->gradient;
        if (!tape.is_measuring())
            attention_backward(tape.device(), tape.products(), work, scratch, rows,
                               Strided<const E>{dout, out.shape().width()}, to);
        tape.arena().release(mark);
    }
};

}  // namespace detail

/// out = softmax(q k^T + bias) v for each example and head, softmax in `Wide<E>`: [examples,
/// queries, heads * width] from q of that shape and k, v [examples, keys, heads * width]. A bias
/// without a record is none. A query that sees no key gets zero.
///
/// Memory: backward computes the weights again from two numbers a row, so that what is kept grows
/// with queries, not with queries * keys.
template <Scalar E, Device D, class P>
Var<E> attention(Tape<E, D, P>& tape, Columns<E> q, Columns<E> k, Columns<E> v,
                 PositionBias<E> bias, const AttentionOptions& options) {
    const Shape &queries = q.var.shape(), &keys = k.var.shape();
    AttentionWork<E> work;
    work.examples = queries[0];
    work.queries = queries[1];
    work.key_rows = keys[1];
    work.keys = options.keys == 0 ? keys[1] : options.keys;
    work.heads = options.heads;
    work.width = q.count / options.heads;
    work.causal = options.causal;
    work.key_mask = options.key_mask;
    work.q = q.view();
    work.k = k.view();
    work.v = v.view();
    work.dropout = options.dropout;
    require(queries.rank() == 3 && keys.rank() == 3 && keys == v.var.shape().with_width(keys[2]) &&
                keys[0] == queries[0] && q.count == k.count && q.count == v.count &&
                q.count % options.heads == 0,
            Errc::shape, "attention: q is ", q.count, " channels of ", queries, ", k ", k.count,
            " of ", keys, ", v ", v.count, " of ", v.var.shape(),
            ", expected [examples, length, channels] with equal channels for ", options.heads,
            " heads");
    require(work.keys <= work.key_rows && (!work.causal || work.keys >= work.queries), Errc::shape,
            "attention: ", work.keys, " keys for ", work.queries, " queries, expected at most ",
            work.key_rows, " and, if causal, at least the queries");
    require(work.key_mask.empty() || work.key_mask.size() == work.examples * work.keys, Errc::shape,
            "attention: a key mask of ", work.key_mask.size(), ", expected ",
            work.examples * work.keys);
    if (bias) {
        require(bias.record->heads == work.heads && bias.record->queries == work.queries &&
                    bias.record->keys == work.keys,
                Errc::shape, "attention: a bias for ", bias.record->heads, " heads, ",
                bias.record->queries, " queries, ", bias.record->keys, " keys, expected ",
                work.heads, ", ", work.queries, ", ", work.keys);
        work.bias = bias.record->values;
        work.bias_stride = bias.record->stride;
    }
    if (work.dropout.active() && !tape.is_measuring()) {
        work.seed = tape.options().seed;
        work.ordinals = tape.options().ordinals;
        require(work.ordinals.size() == work.examples, Errc::shape, "attention: dropout with ",
                work.ordinals.size(), " ordinals, expected ", work.examples,
                "; give them to Tape::start");
    }
    const Var<E> out = tape.make(queries.with_width(q.count));
    auto* const rows =
        tape.template take<lanes::SoftmaxRow<Wide<E>>>(work.examples * work.heads * work.queries);
    const std::size_t mark = tape.arena().mark();
    const AttentionScratch<E> scratch{tape.arena(), work, false};
    if (!tape.is_measuring())
        attention_forward(tape.device(), tape.products(), work, scratch, rows,
                          Strided<E>{out.data(), out.shape().width()});
    tape.arena().release(mark);
    if (tape.records())
        tape.record(detail::AttentionNode<E, D, P>{{}, q, k, v, bias, out, work, rows});
    return out;
}

}  // namespace zeropp
