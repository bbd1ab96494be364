// SPDX-License-Identifier: Apache-2.0
/// \file `T5Generator`: greedy generation with a cache of keys and values.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/data/batch.hpp>
#include <zeropp/device/arena.hpp>
#include <zeropp/model/t5.hpp>

namespace zeropp {

/// Owns a cache for the model's micro_batch and max_source_length, allocated at the first call. One
/// object a thread.
template <Element E, Device D = Host, class P = typename DefaultProducts<D>::type>
class T5Generator {
public:
    /// Borrows nothing of the model.
    T5Generator(const T5<E, D, P>& model, std::size_t max_new_tokens)
        : source_{model.source()},
          options_{model.options()},
          device_{model.device()},
          most_{max_new_tokens},
          tape_{P{}, device_} {
        require(most_ >= 1, Errc::config, "T5Generator: max_new_tokens is ", most_,
                ", expected at least 1");
    }

    /// For each example the likeliest token after the likeliest, up to and with the end token, at
    /// most `max_new_tokens`; without the start token. The batch's labels are not read.
    std::vector<std::vector<std::int32_t>> greedy(const Seq2SeqBatch& batch,
                                                  UnitObserver<E>& observer) {
        check(batch);
        if (arena_.capacity() == 0) arena_ = Arena<D>{"generation", bytes(), device_};
        arena_.release(0);
        const Units<E> units{observer};
        const std::size_t vocabulary = config().vocab_size;
        const T5Inputs inputs{batch.size, batch.source_ids, batch.source_mask, {}};
        Cache cache = prepare(tape_, arena_, units, inputs);
        std::vector<std::vector<std::int32_t>> tokens(batch.size);
        std::vector<std::int32_t> last(batch.size, config().decoder_start_token_id);
        std::vector<bool> ended(batch.size, false);
        for (std::size_t t = 0; t < most_; ++t) {
            const std::size_t mark = arena_.mark();
            const Var<E> logits = next(tape_, arena_, units, inputs, cache, last, t);
            device_.synchronize();
            for (std::size_t b = 0; b < batch.size; ++b) {
                if (ended[b]) continue;
                last[b] = best({logits.data() + b * vocabulary, vocabulary});
                tokens[b].push_back(last[b]);
                ended[b] = last[b] == config().eos_token_id;
            }
            arena_.release(mark);
            if (std::find(ended.begin(), ended.end(), false) == ended.end()) break;
        }
        return tokens;
    }

    /// That the first call allocates.
    std::size_t bytes() const {
        Arena<D> arena = Arena<D>::measuring("generation");
        Tape<E, D, P> tape{P{}, device_};
        const std::size_t source = options_.micro_batch * options_.max_source_length;
        const T5Inputs inputs{options_.micro_batch,
                              {static_cast<const std::int32_t*>(nullptr), source},
                              {static_cast<const std::uint8_t*>(nullptr), source},
                              {}};
        Cache cache = prepare(tape, arena, {}, inputs);
        next(tape, arena, {}, inputs, cache,
             {static_cast<const std::int32_t*>(nullptr), options_.micro_batch}, most_ - 1);
        return Arena<D>::rounded(arena.peak());
    }

private:
    /// Some channels of rows in the arena, from step to step.
    struct Kept {
        Tensor<E> rows;
        std::size_t first, count;
        explicit Kept(const Columns<E>& columns)
            : rows{columns.var.tensor()}, first{columns.first}, count{columns.count} {}
        Columns<E> on(Tape<E, D, P>& tape) const {
            return {tape.input(rows.data, rows.shape), first, count};
        }
    };
    struct BlockCache {
        E *k, *v;  ///< of the tokens so far: examples x max_new_tokens x inner size
        Kept cross_k, cross_v;
    };
    using Cache = std::vector<BlockCache>;

    const T5Config& config() const noexcept { return source_.config(); }

    void check(const Seq2SeqBatch& batch) const {
        require(1 <= batch.size && batch.size <= options_.micro_batch && 1 <= batch.source_length &&
                    batch.source_length <= options_.max_source_length,
                Errc::shape, "T5Generator: a batch has ", batch.size, " sources of ",
                batch.source_length, " tokens, expected 1 to ", options_.micro_batch, " of 1 to ",
                options_.max_source_length);
        require(batch.source_ids.size() == batch.size * batch.source_length &&
                    batch.source_mask.size() == batch.source_ids.size(),
                Errc::shape, "T5Generator: a batch has ", batch.source_ids.size(),
                " source ids and ", batch.source_mask.size(), " mask values, expected ",
                batch.size * batch.source_length, " each");
    }

    /// Runs the encoder; what the decoder's blocks need of it stays in the arena.
    Cache prepare(Tape<E, D, P>& tape, Arena<D>& arena, Units<E> units,
                  const T5Inputs& inputs) const {
        Cache cache;
        const std::size_t size = inputs.size * most_ * config().inner_size();
        tape.start(arena, units, {.gradients = false});
        tape.enter(0);
        const Var<E> encoded = t5_encode(tape, source_.places(), config(), inputs, 0);
        for (const T5BlockPlaces& at : source_.places().decoder) {
            tape.enter(at.unit);
            const T5Keys<E> keys = t5_cross_keys(tape, encoded, at.cross);
            cache.push_back({tape.template take<E>(size), tape.template take<E>(size), Kept{keys.k},
                             Kept{keys.v}});
            tape.leave(at.unit);
        }
        tape.leave(0);
        return cache;
    }

    /// Logits [examples, 1, vocabulary] of the token after `last`, which is number `t`.
    Var<E> next(Tape<E, D, P>& tape, Arena<D>& arena, Units<E> units, const T5Inputs& inputs,
                const Cache& cache, std::span<const std::int32_t> last, std::size_t t) const {
        const T5Places& places = source_.places();
        tape.start(arena, units, {.gradients = false});
        tape.enter(0);
        const Var<E> embedded = embedding(tape, last, inputs.size, places.shared);
        const PositionBias<E> bias = relative_position_bias(tape, places.decoder_bias, 1, t + 1,
                                                            t5_buckets(config(), false), t);
        const Var<E> hidden = t5_stack(
            tape, embedded, places.decoder, config(), {.decoder = true},
            [&](Var<E> x, const T5BlockPlaces& at, const T5Dropout& none) {
                const BlockCache& block = cache[none.block];
                x = t5_self_attention(tape, x, at.self, config(), bias, false, {}, none,
                                      [&](const T5Keys<E>& keys) {
                                          return T5Keys<E>{append(tape, keys.k, block.k, t),
                                                           append(tape, keys.v, block.v, t), t + 1};
                                      });
                x = t5_cross_attention(tape, x,
                                       T5Keys<E>{block.cross_k.on(tape), block.cross_v.on(tape)},
                                       at.cross, config(), inputs.source_mask, none);
                return t5_feed_forward(tape, x, at.feed_forward, config(), none);
            });
        if (places.head.unit != 0) tape.enter(places.head.unit);
        const Var<E> logits =
            linear(tape, scaled(tape, hidden, t5_output_scale(config())), places.head);
        if (places.head.unit != 0) tape.leave(places.head.unit);
        tape.leave(0);
        return logits;
    }

    /// Copies row `t` of each example into the cache, and gives the cache.
    Columns<E> append(Tape<E, D, P>& tape, const Columns<E>& row, E* cache, std::size_t t) const {
        const std::size_t size = row.var.shape()[0], width = row.count;
        if (!tape.is_measuring())
            for (std::size_t b = 0; b < size; ++b)
                device_.copy(
                    reinterpret_cast<std::byte*>(cache + (b * most_ + t) * width),
                    reinterpret_cast<const std::byte*>(row.view().data + b * row.view().stride),
                    width * sizeof(E));
        return tape.input(cache, {size, most_, width});
    }

    static std::int32_t best(std::span<const E> logits) {
        std::size_t at = 0;
        for (std::size_t i = 1; i < logits.size(); ++i)
            if (static_cast<float>(logits[i]) > static_cast<float>(logits[at])) at = i;
        return static_cast<std::int32_t>(at);
    }

    T5Source source_;
    T5Options options_;
    D device_;
    std::size_t most_;
    Tape<E, D, P> tape_;
    Arena<D> arena_;
};

}  // namespace zeropp
