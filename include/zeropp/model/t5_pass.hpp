// SPDX-License-Identifier: Apache-2.0
/// \file T5's forward pass on a tape. Raffel et al., "Exploring the limits of transfer learning",
/// JMLR 2020, section 2.1, as Hugging Face's T5 computes it.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include <zeropp/device/concepts.hpp>
#include <zeropp/model/t5_layout.hpp>
#include <zeropp/tensor/ops.hpp>
#include <zeropp/tensor/tape.hpp>

namespace zeropp {

/// One run. The tape is started and the unit of the shared embedding entered; it borrows both
/// arguments. Dropout's operations are numbered in the order of their calls.
template <Element E, Device D, class P>
class T5Pass {
public:
    using Tape = zeropp::Tape<E, D, P>;

    T5Pass(Tape& tape, const T5Layout& layout, float dropout)
        : tape_{tape}, layout_{layout}, config_{layout.config()}, dropout_{dropout} {}

    /// [examples, length, d_model]. `ids` and `mask` live until backward has run.
    Var<E> encode(std::span<const std::int32_t> ids, std::span<const std::uint8_t> mask,
                  std::size_t examples) {
        Var<E> x = embed(ids, examples);
        const T5Stack& stack = layout_.encoder();
        tape_.enter(stack.bias_unit);
        const std::size_t length = x.shape()[1];
        const PositionBias<E> bias =
            relative_position_bias(tape_, stack.bias, length, length, buckets(true));
        for (const T5Block& block : stack.blocks)
            x = in_unit(block.unit, x, [&](Var<E> y) {
                y = self_attention(block.self, y, bias, false, mask);
                y = feed_forward(block.feed_forward, y);
                return &block == &stack.blocks.back() ? final_norm(stack.norm, y) : y;
            });
        tape_.leave(stack.bias_unit);
        return x;
    }

    /// [examples, length, d_model], before the head. `encoded` and its `mask` as of `encode`.
    Var<E> decode(std::span<const std::int32_t> ids, Var<E> encoded,
                  std::span<const std::uint8_t> mask) {
        Var<E> x = embed(ids, encoded.shape()[0]);
        const T5Stack& stack = layout_.decoder();
        tape_.enter(stack.bias_unit);
        const std::size_t length = x.shape()[1];
        const PositionBias<E> bias =
            relative_position_bias(tape_, stack.bias, length, length, buckets(false));
        for (const T5Block& block : stack.blocks)
            x = in_unit(block.unit, x, [&](Var<E> y) {
                y = self_attention(block.self, y, bias, true, {});
                y = cross_attention(block.cross, y, project<2>(block.cross.key_value, encoded),
                                    mask);
                y = feed_forward(block.feed_forward, y);
                return &block == &stack.blocks.back() ? final_norm(stack.norm, y) : y;
            });
        tape_.leave(stack.bias_unit);
        return x;
    }

    /// The mean loss of `labels`, one a row of the decoder's output.
    void loss(Var<E> decoded, std::span<const std::int32_t> labels) {
        in_head([&] {
            cross_entropy(tape_, decoded, layout_.head(), labels, {.scale = head_scale()});
        });
    }
    /// [examples, length, vocab_size].
    Var<E> logits(Var<E> decoded) {
        Var<E> out;
        in_head([&] {
            const float scale = head_scale();
            out =
                linear(tape_, scale == 1 ? decoded : scaled(tape_, decoded, scale), layout_.head());
        });
        return out;
    }

    // The parts, for decoding token by token.

    Var<E> embed(std::span<const std::int32_t> ids, std::size_t examples) {
        const Var<E> x = embedding(tape_, ids, examples, layout_.shared());
        tape_.keep_gradient(x);
        return dropped(tape_, x, next_dropout());
    }
    PositionBuckets buckets(bool bidirectional) const {
        return {bidirectional, config_.relative_attention_num_buckets,
                config_.relative_attention_max_distance};
    }
    /// N products of one input, each of the same channels.
    template <std::size_t N>
    std::array<Columns<E>, N> project(const T5Projection& projection, Var<E> x) {
        std::array<Columns<E>, N> out;
        const std::size_t width = projection.first.shape[0];
        if (projection.is_one()) {
            const Var<E> all = linear(tape_, x, projection.whole());
            for (std::size_t i = 0; i < N; ++i) out[i] = Columns<E>{all, i * width, width};
        } else {
            for (std::size_t i = 0; i < N; ++i)
                out[i] = Columns<E>{linear(tape_, x, projection.part(i))};
        }
        return out;
    }
    Var<E> norm(const ParameterRef& weight, Var<E> x) {
        return rms_norm(tape_, x, weight, config_.layer_norm_epsilon);
    }
    /// x + the layer, from its query, keys and values.
    Var<E> self_attention_of(const T5SelfAttention& layer, Var<E> x, Columns<E> query,
                             Columns<E> key, Columns<E> value, PositionBias<E> bias,
                             AttentionOptions options) {
        options.heads = config_.num_heads;
        options.dropout = next_dropout();
        const Var<E> out = attention(tape_, query, key, value, bias, options);
        return residual_add(tape_, x, linear(tape_, out, layer.output), next_dropout());
    }
    /// `key_value` projects the encoder's output.
    Var<E> cross_attention(const T5CrossAttention& layer, Var<E> x,
                           const std::array<Columns<E>, 2>& key_value,
                           std::span<const std::uint8_t> mask) {
        const Var<E> query = linear(tape_, norm(layer.norm, x), layer.query);
        const Var<E> out =
            attention(tape_, Columns<E>{query}, key_value[0], key_value[1], PositionBias<E>{},
                      {.heads = config_.num_heads, .key_mask = mask, .dropout = next_dropout()});
        return residual_add(tape_, x, linear(tape_, out, layer.output), next_dropout());
    }
    Var<E> feed_forward(const T5FeedForward& layer, Var<E> x) {
        const Var<E> normal = norm(layer.norm, x);
        const Dropout dropout = next_dropout();
        Var<E> middle;
        if (config_.feed_forward_proj == T5Config::FeedForward::gated_gelu) {
            const auto [gate, values] = project<2>(layer.in, normal);
            middle = gated_gelu(tape_, gate, values, dropout);
        } else {
            middle = relu(tape_, linear(tape_, normal, layer.in.first), dropout);
        }
        return residual_add(tape_, x, linear(tape_, middle, layer.out), next_dropout());
    }
    /// At the end of a stack; read by other units.
    Var<E> final_norm(const ParameterRef& weight, Var<E> x) {
        const Var<E> out = norm(weight, x);
        tape_.keep_gradient(out);
        return dropped(tape_, out, next_dropout());
    }

    /// `body` computes a block from x. Without gradients a unit leaves the stream only, in the
    /// memory where it found it.
    template <class Body>
    Var<E> in_unit(std::size_t unit, Var<E> x, Body body) {
        const std::size_t mark = tape_.arena().mark();
        tape_.enter(unit);
        Var<E> y = body(x);
        tape_.leave(unit);
        if (tape_.records()) return y;
        if (!tape_.is_measuring())
            tape_.device().copy(reinterpret_cast<std::byte*>(x.data()),
                                reinterpret_cast<const std::byte*>(y.data()),
                                x.shape().size() * sizeof(E));
        tape_.arena().release(mark);
        return tape_.input(x.data(), x.shape());
    }

private:
    Dropout next_dropout() { return {dropout_, operation_++}; }
    Var<E> self_attention(const T5SelfAttention& layer, Var<E> x, PositionBias<E> bias, bool causal,
                          std::span<const std::uint8_t> mask) {
        const auto [query, key, value] = project<3>(layer.query_key_value, norm(layer.norm, x));
        return self_attention_of(layer, x, query, key, value, bias,
                                 {.causal = causal, .key_mask = mask});
    }
    float head_scale() const {
        return config_.scale_decoder_outputs
                   ? static_cast<float>(1 / std::sqrt(static_cast<double>(config_.d_model)))
                   : 1.0f;
    }
    template <class Body>
    void in_head(Body body) {
        const bool tied = layout_.head().unit == layout_.shared().unit;
        if (!tied) tape_.enter(layout_.head().unit);
        body();
        if (!tied) tape_.leave(layout_.head().unit);
    }

    Tape& tape_;
    const T5Layout& layout_;
    const T5Config& config_;
    float dropout_;
    std::uint32_t operation_ = 0;
};

}  // namespace zeropp
