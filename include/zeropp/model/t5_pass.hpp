// SPDX-License-Identifier: Apache-2.0
/// \file T5's forward pass on a tape. Raffel et al., "Exploring the limits of transfer learning",
/// JMLR 2020, section 2.1, as Hugging Face's T5 computes it.
#pragma once

#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include <zeropp/device/concepts.hpp>
#include <zeropp/model/t5_layout.hpp>
#include <zeropp/tensor/ops.hpp>
#include <zeropp/tensor/recompute.hpp>
#include <zeropp/tensor/tape.hpp>

namespace zeropp {

/// One run. The tape is started and the unit of the shared embedding entered; it borrows both
/// arguments. Dropout's operations are numbered in the order of their calls.
template <Element E, Device D, class P>
class T5Pass {
public:
    using Tape = zeropp::Tape<E, D, P>;
    using S = Stream<E>;  ///< of what blocks add to; products on their way are of E

    /// `recompute`: blocks keep their input only, and are computed again in backward.
    T5Pass(Tape& tape, const T5Layout& layout, float dropout, bool recompute = false)
        : tape_{tape},
          layout_{layout},
          config_{layout.config()},
          dropout_{dropout},
          recompute_{recompute} {}

    /// [examples, length, d_model]. `ids` and `mask` live until backward has run.
    Var<E> encode(std::span<const std::int32_t> ids, std::span<const std::uint8_t> mask,
                  std::size_t examples) {
        const Var<S> x = embed(ids, examples);
        const T5Stack& stack = layout_.encoder();
        tape_.enter(stack.bias_unit);
        const std::size_t length = x.shape()[1];
        const PositionBias<E> bias =
            relative_position_bias(tape_, stack.bias, length, length, buckets(true));
        const auto block_of = [&stack, bias, mask](T5Pass& pass, std::size_t index, Var<S> y) {
            const T5Block& block = stack.blocks[index];
            y = pass.guarded(index, pass.self_attention(block.self, y, bias, false, mask));
            return pass.feed_forward(block.feed_forward, y);
        };
        const Var<E> out = through(stack, x, block_of);
        tape_.leave(stack.bias_unit);
        return out;
    }

    /// [examples, length, d_model], before the head. `encoded` and its `mask` as of `encode`.
    Var<E> decode(std::span<const std::int32_t> ids, Var<E> encoded,
                  std::span<const std::uint8_t> mask) {
        const Var<S> x = embed(ids, encoded.shape()[0]);
        const T5Stack& stack = layout_.decoder();
        tape_.enter(stack.bias_unit);
        const std::size_t length = x.shape()[1];
        const PositionBias<E> bias =
            relative_position_bias(tape_, stack.bias, length, length, buckets(false));
        const auto block_of = [&stack, bias, encoded, mask](T5Pass& pass, std::size_t index,
                                                            Var<S> y) {
            const T5Block& block = stack.blocks[index];
            y = pass.guarded(index, pass.self_attention(block.self, y, bias, true, {}));
            const auto key_value = pass.template project<2>(block.cross.key_value, encoded);
            y = pass.guarded(index, pass.cross_attention(block.cross, y, key_value, mask));
            return pass.feed_forward(block.feed_forward, y);
        };
        const Var<E> out = through(stack, x, block_of);
        tape_.leave(stack.bias_unit);
        return out;
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

    Var<S> embed(std::span<const std::int32_t> ids, std::size_t examples) {
        const Var<S> x = embedding<S>(tape_, ids, examples, layout_.shared());
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
    Var<E> norm(const ParameterRef& weight, Var<S> x) {
        return rms_norm(tape_, x, weight, config_.layer_norm_epsilon);
    }
    /// x + the layer, from its query, keys and values.
    Var<S> self_attention_of(const T5SelfAttention& layer, Var<S> x, Columns<E> query,
                             Columns<E> key, Columns<E> value, PositionBias<E> bias,
                             AttentionOptions options) {
        options.heads = config_.num_heads;
        options.dropout = next_dropout();
        const Var<E> out = attention(tape_, query, key, value, bias, options);
        return residual_add(tape_, x, linear<S>(tape_, out, layer.output), next_dropout());
    }
    /// `key_value` projects the encoder's output.
    Var<S> cross_attention(const T5CrossAttention& layer, Var<S> x,
                           const std::array<Columns<E>, 2>& key_value,
                           std::span<const std::uint8_t> mask) {
        const Var<E> query = linear(tape_, norm(layer.norm, x), layer.query);
        const Var<E> out =
            attention(tape_, Columns<E>{query}, key_value[0], key_value[1], PositionBias<E>{},
                      {.heads = config_.num_heads, .key_mask = mask, .dropout = next_dropout()});
        return residual_add(tape_, x, linear<S>(tape_, out, layer.output), next_dropout());
    }
    Var<S> feed_forward(const T5FeedForward& layer, Var<S> x) {
        const Var<E> normal = norm(layer.norm, x);
        const Dropout dropout = next_dropout();
        Var<E> middle;
        if (config_.feed_forward_proj == T5Config::FeedForward::gated_gelu) {
            const auto [gate, values] = project<2>(layer.in, normal);
            middle = gated_gelu(tape_, gate, values, dropout);
        } else {
            middle = relu(tape_, linear(tape_, normal, layer.in.first), dropout);
        }
        return residual_add(tape_, x, linear<S>(tape_, middle, layer.out), next_dropout());
    }
    /// Hugging Face's guard of fp16, where its stream is still in fp16: what would not be finite
    /// there after the attentions of a stack's first block is clamped. (It also clamps what lies
    /// between the two numbers, if anything in the whole batch is beyond: here each element stands
    /// for itself. Its stream is in fp32 from the first `wo` on, and ours from the start.)
    Var<S> guarded(std::size_t block, Var<S> x) {
        if constexpr (!std::same_as<E, Half>)
            return x;
        else
            return block == 0 ? clamped(tape_, x, 65520.0f, float{Half{65504.0f - 1000}}) : x;
    }
    /// At the end of a stack; read by other units.
    Var<E> final_norm(const ParameterRef& weight, Var<S> x) {
        const Var<E> out = norm(weight, x);
        tape_.keep_gradient(out);
        return dropped(tape_, out, next_dropout());
    }

    /// `body(pass, index, x)` computes a stack's block; the last one's unit has the final norm too.
    /// It is copied, and run with a copy of this pass where it is run again.
    template <class Body>
    Var<E> through(const T5Stack& stack, Var<S> x, Body body) {
        const std::size_t last = stack.blocks.size() - 1;
        for (std::size_t index = 0; index < last; ++index)
            x = in_unit<S>(
                stack.blocks[index].unit, x,
                [=](T5Pass& pass, Var<S> y) { return body(pass, index, y); }, true);
        const T5Stack* const of = &stack;
        return in_unit<E>(
            stack.blocks[last].unit, x,
            [=](T5Pass& pass, Var<S> y) { return pass.final_norm(of->norm, body(pass, last, y)); },
            false);
    }

private:
    /// Without gradients a unit leaves what `body` makes of the stream only, in the memory where it
    /// found the stream. `goes_on`: what it leaves is the stream.
    template <Scalar T, class Body>
    Var<T> in_unit(std::size_t unit, Var<S> x, Body body, bool goes_on) {
        if (recompute_ && tape_.records()) return in_unit_again<T>(unit, x, body, goes_on);
        const std::size_t mark = tape_.arena().mark();
        tape_.enter(unit);
        const Var<T> y = body(*this, x);
        tape_.leave(unit);
        if (tape_.records()) return y;
        const std::size_t bytes = y.tensor().elements().size_bytes();
        auto* const to = reinterpret_cast<decltype(y.data())>(x.data());
        if (!tape_.is_measuring())
            tape_.device().copy(reinterpret_cast<std::byte*>(to),
                                reinterpret_cast<const std::byte*>(y.data()), bytes);
        tape_.arena().release(mark);
        return tape_.input(to, y.shape());
    }
    /// A unit's work with the numbers of its dropouts.
    template <Scalar T, class Body>
    struct Again {
        T5Pass pass;
        Body body;
        Var<T> operator()(Var<S> y) { return body(pass, y); }
    };
    template <Scalar T, class Body>
    Var<T> in_unit_again(std::size_t unit, Var<S> x, Body body, bool goes_on) {
        const Var<T> out = tape_.template make<T>(x.shape());
        if constexpr (std::same_as<T, S>)  // all of a stream shares one gradient
            if (goes_on) out.value()->gradient = x.value()->gradient;
        tape_.keep_gradient(out);
        operation_ = recompute(tape_, unit, x, out, Again<T, Body>{*this, body}).pass.operation_;
        return out;
    }
    Dropout next_dropout() { return {dropout_, operation_++}; }
    Var<S> self_attention(const T5SelfAttention& layer, Var<S> x, PositionBias<E> bias, bool causal,
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
    bool recompute_;
    std::uint32_t operation_ = 0;
};

}  // namespace zeropp
