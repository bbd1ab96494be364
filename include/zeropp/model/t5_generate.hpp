// SPDX-License-Identifier: Apache-2.0
/// \file `T5Generator`: greedy generation with a cache of keys and values.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/data/batch.hpp>
#include <zeropp/device/arena.hpp>
#include <zeropp/model/t5.hpp>

namespace zeropp {

/// Owns a cache for the model's micro_batch and max_source_length, allocated at the first call. One
/// object a thread.
template <Element E, Device D = Host, class P = OneDnn>
class T5Generator {
public:
    /// Borrows nothing of the model.
    T5Generator(const T5<E, D, P>& model, std::size_t max_new_tokens)
        : layout_{model.layout()},
          options_{model.options()},
          device_{model.device()},
          most_{max_new_tokens},
          tape_{P{options_.threads}, device_} {
        require(most_ >= 1, Errc::config, "T5Generator: max_new_tokens is ", most_,
                ", expected at least 1");
    }

    /// For each example the likeliest token after the likeliest, up to and with the end token, at
    /// most `max_new_tokens`; without the start token. The batch's labels are not read.
    std::vector<std::vector<std::int32_t>> greedy(const Seq2SeqBatch& batch,
                                                  UnitObserver<E>& observer) {
        check(batch);
        if (arena_.capacity() == 0) arena_ = Arena<D>{"generation", bytes(), device_};
        const Units<E> units{observer};
        Cache cache = prepare(tape_, arena_, units, batch);
        std::vector<std::vector<std::int32_t>> tokens(batch.size);
        std::vector<std::int32_t> last(batch.size, config().decoder_start_token_id);
        std::vector<std::size_t> examples(batch.size);  // of the rows that go on
        for (std::size_t row = 0; row < batch.size; ++row) examples[row] = row;
        for (std::size_t t = 0; t < most_ && !examples.empty(); ++t) {
            const std::size_t mark = arena_.mark(), vocabulary = config().vocab_size;
            const Var<E> logits = next(tape_, arena_, units, cache, last, t);
            device_.synchronize();
            for (std::size_t row = 0; row < last.size(); ++row) {
                last[row] = best({logits.data() + row * vocabulary, vocabulary});
                tokens[examples[row]].push_back(last[row]);
            }
            arena_.release(mark);
            for (std::size_t row = last.size(); row-- > 0;) {
                if (last[row] != config().eos_token_id) continue;
                remove(cache, row, t + 1);
                last[row] = last.back();
                examples[row] = examples.back();
                last.pop_back();
                examples.pop_back();
            }
        }
        return tokens;
    }

    /// That the first call allocates.
    std::size_t bytes() const {
        Seq2SeqBatch largest;
        largest.size = options_.micro_batch;
        largest.source_length = options_.max_source_length;
        largest.source_ids.resize(largest.size * largest.source_length);
        largest.source_mask.resize(largest.source_ids.size());
        auto arena = Arena<D>::measuring("generation");
        Tape tape{P{options_.threads}, device_};
        Cache cache = prepare(tape, arena, {}, largest);
        next(tape, arena, {}, cache, std::vector<std::int32_t>(largest.size), most_ - 1);
        return arena.peak();
    }

private:
    using Tape = typename T5<E, D, P>::Tape;
    using Pass = typename T5<E, D, P>::Pass;

    /// A block of rows an example in the arena, kept from step to step, and columns of it.
    struct Kept {
        Tensor<E> rows;  ///< [examples, length, width]
        std::size_t first = 0, count = 0;

        Columns<E> on(Tape& tape, std::size_t examples) const {
            return {tape.input(rows.data, {examples, rows.shape[1], rows.shape[2]}), first, count};
        }
    };
    struct BlockCache {
        std::array<Kept, 2> self, cross;  ///< keys and values; self: room for max_new_tokens rows
    };
    struct Cache {
        std::vector<BlockCache> blocks;
        std::span<std::uint8_t> mask;  ///< of the sources
        std::size_t examples = 0, source_length = 0;
    };

    const T5Config& config() const noexcept { return layout_.config(); }

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
    Cache prepare(Tape& tape, Arena<D>& arena, Units<E> units, const Seq2SeqBatch& batch) const {
        arena.release(0);
        Cache cache;
        cache.examples = batch.size;
        cache.source_length = batch.source_length;
        cache.mask = arena.template take<std::uint8_t>(batch.source_mask.size());
        if (!arena.is_measuring()) std::ranges::copy(batch.source_mask, cache.mask.begin());
        tape.start(arena, units, {.gradients = false});
        Pass pass{tape, layout_, 0};
        tape.enter(layout_.shared().unit);
        const Var<E> encoded = pass.encode(batch.source_ids, batch.source_mask, batch.size);
        for (const T5Block& block : layout_.decoder().blocks) {
            tape.enter(block.unit);
            BlockCache kept;
            const auto cross = pass.template project<2>(block.cross.key_value, encoded);
            const Shape shape{batch.size, most_, config().inner_size()};
            for (std::size_t i = 0; i < 2; ++i) {
                kept.cross[i] = {cross[i].var.tensor(), cross[i].first, cross[i].count};
                kept.self[i] = {{tape.template take<E>(shape.size()), shape}, 0, shape.width()};
            }
            cache.blocks.push_back(kept);
            tape.leave(block.unit);
        }
        tape.leave(layout_.shared().unit);
        return cache;
    }

    /// Logits [examples, 1, vocabulary] of the token after `last`, which is number `t`.
    Var<E> next(Tape& tape, Arena<D>& arena, Units<E> units, const Cache& cache,
                std::span<const std::int32_t> last, std::size_t t) const {
        tape.start(arena, units, {.gradients = false});
        Pass pass{tape, layout_, 0};
        const T5Stack& stack = layout_.decoder();
        tape.enter(layout_.shared().unit);
        const auto x = pass.embed(last, cache.examples);
        tape.enter(stack.bias_unit);
        const PositionBias<E> bias =
            relative_position_bias(tape, stack.bias, 1, t + 1, pass.buckets(false), t);
        const auto mask =
            std::span<const std::uint8_t>{cache.mask}.first(cache.examples * cache.source_length);
        const Var<E> out = pass.through(stack, x, [&](auto&, std::size_t index, Var<Stream<E>> y) {
            const T5Block& block = stack.blocks[index];
            const BlockCache& kept = cache.blocks[index];
            const auto now =
                pass.template project<3>(block.self.query_key_value, pass.norm(block.self.norm, y));
            const auto key = append(tape, now[1], kept.self[0], cache.examples, t);
            const auto value = append(tape, now[2], kept.self[1], cache.examples, t);
            y = pass.guarded(index, pass.self_attention_of(block.self, y, now[0], key, value, bias,
                                                           {.keys = t + 1}));
            const std::array<Columns<E>, 2> key_value{kept.cross[0].on(tape, cache.examples),
                                                      kept.cross[1].on(tape, cache.examples)};
            y = pass.guarded(index, pass.cross_attention(block.cross, y, key_value, mask));
            return pass.feed_forward(block.feed_forward, y);
        });
        tape.leave(stack.bias_unit);
        const Var<E> logits = pass.logits(out);
        tape.leave(layout_.shared().unit);
        return logits;
    }

    /// Copies the one row of each example into the cache as row `t`, and gives the cache.
    Columns<E> append(Tape& tape, const Columns<E>& row, const Kept& kept, std::size_t examples,
                      std::size_t t) const {
        const Strided<const E> from = row.view();
        if (!tape.is_measuring())
            for (std::size_t b = 0; b < examples; ++b)
                copy(kept.rows.row(b * most_ + t).data(), from.data + b * from.stride, row.count);
        return kept.on(tape, examples);
    }

    /// The last example takes the place of example `row`; `length` rows of its own are in the
    /// cache.
    void remove(Cache& cache, std::size_t row, std::size_t length) const {
        const std::size_t from = --cache.examples;
        if (from == row) return;
        const auto move = [&](const Kept& kept, std::size_t rows) {
            const std::size_t stride = kept.rows.shape[1] * kept.rows.shape[2];
            copy(kept.rows.data + row * stride, kept.rows.data + from * stride,
                 rows * kept.rows.shape[2]);
        };
        for (const BlockCache& block : cache.blocks) {
            for (const Kept& kept : block.self) move(kept, length);
            move(block.cross[0], cache.source_length);
            if (block.cross[1].rows.data != block.cross[0].rows.data)
                move(block.cross[1], cache.source_length);
        }
        std::ranges::copy(cache.mask.subspan(from * cache.source_length, cache.source_length),
                          cache.mask.subspan(row * cache.source_length).begin());
    }
    void copy(E* to, const E* from, std::size_t count) const {
        device_.copy(reinterpret_cast<std::byte*>(to), reinterpret_cast<const std::byte*>(from),
                     count * sizeof(E));
    }

    static std::int32_t best(std::span<const E> logits) {
        std::size_t at = 0;
        for (std::size_t i = 1; i < logits.size(); ++i)
            if (static_cast<float>(logits[i]) > static_cast<float>(logits[at])) at = i;
        require(is_finite(static_cast<float>(logits[at])), Errc::numeric,
                "T5Generator: the best logit is ", static_cast<float>(logits[at]),
                ", expected a finite one");
        return static_cast<std::int32_t>(at);
    }

    T5Layout layout_;
    T5Options options_;
    D device_;
    std::size_t most_;
    Tape tape_;
    Arena<D> arena_;
};

template <Element E, Device D, class P>
T5Generator(const T5<E, D, P>&, std::size_t) -> T5Generator<E, D, P>;

}  // namespace zeropp
