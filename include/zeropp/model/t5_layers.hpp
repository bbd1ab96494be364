// SPDX-License-Identifier: Apache-2.0
/// \file The layers of a T5 on a tape. Sub-layers are pre-norm: x + dropout(layer(norm(x))).
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include <zeropp/format/t5_config.hpp>
#include <zeropp/model/t5_units.hpp>
#include <zeropp/tensor/ops.hpp>

namespace zeropp {

/// Numbers the places of a model that drop elements: never reused for another place, since a
/// trained run is repeated by them.
struct T5Dropout {
    enum Place : std::uint32_t {
        embedding,
        self_weights,
        self_output,
        cross_weights,
        cross_output,
        activation,
        feed_forward_output,
        stack_output
    };
    float rate = 0;
    bool decoder = false;
    std::uint32_t block = 0;

    Dropout at(Place place) const {
        return {rate, (decoder ? 1u << 24 : 0u) + block * 16u + static_cast<std::uint32_t>(place)};
    }
};

/// x times each weight (all of one shape): one product where the weights stand back to back.
template <std::size_t N, Scalar E, Device D, class P>
std::array<Columns<E>, N> projections(Tape<E, D, P>& tape, Var<E> x,
                                      const std::array<ParameterRef, N>& weights) {
    const std::size_t out = weights[0].shape[0], in = weights[0].shape[1];
    bool together = true;
    for (std::size_t i = 0; i < N; ++i)
        together = together && weights[i].offset == weights[0].offset + i * out * in;
    std::array<Columns<E>, N> columns;
    if (together) {
        const Var<E> all = linear(tape, x, {weights[0].unit, weights[0].offset, {N * out, in}});
        for (std::size_t i = 0; i < N; ++i) columns[i] = {all, i * out, out};
    } else {
        for (std::size_t i = 0; i < N; ++i) columns[i] = linear(tape, x, weights[i]);
    }
    return columns;
}

template <Scalar E, Device D, class P>
Var<E> t5_feed_forward(Tape<E, D, P>& tape, Var<E> x, const T5FeedForwardPlaces& at,
                       const T5Config& config, const T5Dropout& dropout) {
    const Var<E> normal = rms_norm(tape, x, at.norm, config.layer_norm_epsilon);
    Var<E> inner;
    if (config.feed_forward_proj == T5Config::FeedForward::gated_gelu) {
        const auto [gate, value] = projections<2>(tape, normal, {at.wi, at.wi_1});
        inner = gated_gelu(tape, gate, value, dropout.at(T5Dropout::activation));
    } else {
        inner = relu(tape, linear(tape, normal, at.wi), dropout.at(T5Dropout::activation));
    }
    return residual_add(tape, x, linear(tape, inner, at.wo),
                        dropout.at(T5Dropout::feed_forward_output));
}

/// Keys and values that a self-attention looks at.
template <Scalar E>
struct T5Keys {
    Columns<E> k, v;
    std::size_t count = 0;  ///< of each example; 0: all
};

/// x over itself, causal if asked. `remember` is given the keys and values of x and returns those
/// to look at: the same, or a cache that holds earlier ones too.
template <Scalar E, Device D, class P, class Remember>
Var<E> t5_self_attention(Tape<E, D, P>& tape, Var<E> x, const T5AttentionPlaces& at,
                         const T5Config& config, PositionBias<E> bias, bool causal,
                         std::span<const std::uint8_t> mask, const T5Dropout& dropout,
                         Remember remember) {
    const Var<E> normal = rms_norm(tape, x, at.norm, config.layer_norm_epsilon);
    const auto [q, k, v] = projections<3>(tape, normal, {at.q, at.k, at.v});
    const T5Keys<E> keys = remember(T5Keys<E>{k, v});
    const Var<E> mixed = attention(tape, q, keys.k, keys.v, bias,
                                   {.heads = config.num_heads,
                                    .causal = causal,
                                    .key_mask = mask,
                                    .dropout = dropout.at(T5Dropout::self_weights),
                                    .keys = keys.count});
    return residual_add(tape, x, linear(tape, mixed, at.o), dropout.at(T5Dropout::self_output));
}

/// x over the encoder's output, whose keys and values are `keys`.
template <Scalar E, Device D, class P>
Var<E> t5_cross_attention(Tape<E, D, P>& tape, Var<E> x, const T5Keys<E>& keys,
                          const T5AttentionPlaces& at, const T5Config& config,
                          std::span<const std::uint8_t> mask, const T5Dropout& dropout) {
    const Var<E> normal = rms_norm(tape, x, at.norm, config.layer_norm_epsilon);
    const Var<E> mixed = attention(tape, Columns<E>{linear(tape, normal, at.q)}, keys.k, keys.v, {},
                                   {.heads = config.num_heads,
                                    .key_mask = mask,
                                    .dropout = dropout.at(T5Dropout::cross_weights)});
    return residual_add(tape, x, linear(tape, mixed, at.o), dropout.at(T5Dropout::cross_output));
}

template <Scalar E, Device D, class P>
T5Keys<E> t5_cross_keys(Tape<E, D, P>& tape, Var<E> encoded, const T5AttentionPlaces& at) {
    const auto [k, v] = projections<2>(tape, encoded, {at.k, at.v});
    return {k, v};
}

/// Without gradients, the end of a block: only the stream stays, at `home`; the block's other
/// values, taken since `mark`, are given back.
template <Scalar E, Device D, class P>
Var<E> t5_keep_stream(Tape<E, D, P>& tape, Var<E> x, E* home, std::size_t mark) {
    if (!tape.is_measuring() && x.data() != home)
        tape.device().copy(reinterpret_cast<std::byte*>(home),
                           reinterpret_cast<const std::byte*>(x.data()),
                           x.shape().size() * sizeof(E));
    tape.arena().release(mark);
    return tape.input(home, x.shape());
}

/// dropout(norm(blocks(dropout(x)))). `block` computes one: x, its places, its dropout.
template <Scalar E, Device D, class P, class Block>
Var<E> t5_stack(Tape<E, D, P>& tape, Var<E> x, std::span<const T5BlockPlaces> blocks,
                const T5Config& config, T5Dropout dropout, Block block) {
    E* const home = x.data();
    tape.keep_gradient(x);
    x = dropped(tape, x, dropout.at(T5Dropout::embedding));
    for (const T5BlockPlaces& at : blocks) {
        const std::size_t mark = tape.arena().mark();
        tape.enter(at.unit);
        x = block(x, at, dropout);
        ++dropout.block;
        if (at.final_norm.shape.rank() != 0) {
            x = rms_norm(tape, x, at.final_norm, config.layer_norm_epsilon);
            tape.keep_gradient(x);
            x = dropped(tape, x, dropout.at(T5Dropout::stack_output));
        }
        tape.leave(at.unit);
        if (!tape.records()) x = t5_keep_stream(tape, x, home, mark);
    }
    return x;
}

inline PositionBuckets t5_buckets(const T5Config& config, bool bidirectional) {
    return {bidirectional, config.relative_attention_num_buckets,
            config.relative_attention_max_distance};
}
/// Of the decoder's output, before the head.
inline float t5_output_scale(const T5Config& config) {
    return config.scale_decoder_outputs
               ? static_cast<float>(std::pow(static_cast<double>(config.d_model), -0.5))
               : 1.0f;
}

/// A batch as the stacks read it: examples x length each, the decoder's ids shifted already.
struct T5Inputs {
    std::size_t size = 0;
    std::span<const std::int32_t> source_ids;
    std::span<const std::uint8_t> source_mask;
    std::span<const std::int32_t> decoder_ids;
};

/// The encoder's output; unit 0 is entered.
template <Scalar E, Device D, class P>
Var<E> t5_encode(Tape<E, D, P>& tape, const T5Places& places, const T5Config& config,
                 const T5Inputs& inputs, float dropout) {
    const std::size_t length = inputs.source_ids.size() / inputs.size;
    const Var<E> embedded = embedding(tape, inputs.source_ids, inputs.size, places.shared);
    const PositionBias<E> bias =
        relative_position_bias(tape, places.encoder_bias, length, length, t5_buckets(config, true));
    return t5_stack(tape, embedded, places.encoder, config, {.rate = dropout},
                    [&](Var<E> x, const T5BlockPlaces& at, const T5Dropout& drop) {
                        x = t5_self_attention(tape, x, at.self, config, bias, false,
                                              inputs.source_mask, drop,
                                              [](const T5Keys<E>& keys) { return keys; });
                        return t5_feed_forward(tape, x, at.feed_forward, config, drop);
                    });
}

/// The decoder's output for given inputs, all positions at once; unit 0 is entered.
template <Scalar E, Device D, class P>
Var<E> t5_decode(Tape<E, D, P>& tape, const T5Places& places, const T5Config& config,
                 const T5Inputs& inputs, Var<E> encoded, float dropout) {
    const std::size_t length = inputs.decoder_ids.size() / inputs.size;
    const Var<E> embedded = embedding(tape, inputs.decoder_ids, inputs.size, places.shared);
    const PositionBias<E> bias = relative_position_bias(tape, places.decoder_bias, length, length,
                                                        t5_buckets(config, false));
    return t5_stack(tape, embedded, places.decoder, config, {.rate = dropout, .decoder = true},
                    [&](Var<E> x, const T5BlockPlaces& at, const T5Dropout& drop) {
                        x = t5_self_attention(tape, x, at.self, config, bias, true, {}, drop,
                                              [](const T5Keys<E>& keys) { return keys; });
                        x = t5_cross_attention(tape, x, t5_cross_keys(tape, encoded, at.cross),
                                               at.cross, config, inputs.source_mask, drop);
                        return t5_feed_forward(tape, x, at.feed_forward, config, drop);
                    });
}

}  // namespace zeropp
