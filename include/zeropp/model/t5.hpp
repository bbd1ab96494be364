// SPDX-License-Identifier: Apache-2.0
/// \file `T5`, both generations, exact to Hugging Face's. Component `onednn`.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/core/fingerprint.hpp>
#include <zeropp/core/labels.hpp>
#include <zeropp/data/batch.hpp>
#include <zeropp/device/arena.hpp>
#include <zeropp/device/host.hpp>
#include <zeropp/device/onednn.hpp>
#include <zeropp/format/json.hpp>
#include <zeropp/format/t5_config.hpp>
#include <zeropp/model/concepts.hpp>
#include <zeropp/model/t5_layout.hpp>
#include <zeropp/model/t5_pass.hpp>
#include <zeropp/model/t5_weights.hpp>
#include <zeropp/tensor/tape.hpp>

namespace zeropp {

/// What is planned for, and how training runs.
struct T5Options {
    std::size_t micro_batch = 8;  ///< examples of a batch, at most
    std::size_t max_source_length = 512, max_target_length = 512;
    std::optional<float> dropout{};  ///< the configuration's dropout_rate if not given
    std::uint64_t seed = 0;          ///< of dropout
    /// Blocks keep their input only and are computed again in backward: less memory, the same bits.
    bool recompute = false;
    /// Parameters that are not trained, by patterns of their names such as "encoder.*" or
    /// "shared.weight", as of `freeze`. Where that is all of the encoder and the shared embedding,
    /// backward ends with the decoder.
    std::vector<std::string> frozen{};
    int threads = 1;  ///< of the matrix products
};

///     auto model = zp::T5<zp::Bf16>::from_pretrained("t5-small", {.micro_batch = 8});
///     zp::Trainer trainer{model, comm, zp::zero<2>, zp::AdamW{.lr = 1e-4}};
///     trainer.step(batch);
///
/// Holds no weights. The activations' arena is taken at the first run.
template <Element E, Device D = Host, class P = OneDnn>
class T5 {
public:
    using Element = E;
    using Device = D;
    using Tape = zeropp::Tape<E, D, P>;
    using Pass = T5Pass<E, D, P>;

    /// A directory as Hugging Face's from_pretrained reads it: config.json and safetensors.
    static T5 from_pretrained(const std::filesystem::path& directory, T5Options options = {}) {
        T5Config config = read_t5_config(directory / "config.json");
        T5StoredWeights weights{directory, config};
        read_json_object_if_any(directory / "generation_config.json");  // refused before training
        return {config, std::move(weights), options, directory};
    }
    /// Hugging Face's initialisation.
    static T5 with_random_weights(const T5Config& config, std::uint64_t seed,
                                  T5Options options = {}) {
        return {config, T5RandomWeights{config, seed}, options, {}};
    }

    D device() const noexcept { return tape_.device(); }
    std::vector<Unit> units() const { return layout_.units(); }
    void fill(std::size_t unit, std::size_t parameter, std::size_t first,
              std::span<float> out) const {
        std::visit(
            [&](const auto& weights) {
                weights.fill(layout_.units()[unit].parameters[parameter], first, out);
            },
            weights_);
    }

    /// Forward and backward with dropout; gradients through the observer.
    Loss run(const Seq2SeqBatch& batch, UnitObserver<E>& observer, float loss_scale) {
        check(batch);
        reserve(training_bytes_);
        const float dropout = options_.dropout.value_or(layout_.config().dropout_rate);
        pass(tape_, arena_, batch, Units<E>{observer}, true, dropout);
        tape_.backward(loss_scale);
        return loss();
    }
    /// Forward only, without dropout.
    Loss evaluate(const Seq2SeqBatch& batch, UnitObserver<E>& observer) {
        check(batch);
        reserve(evaluation_bytes_);
        pass(tape_, arena_, batch, Units<E>{observer}, false, 0);
        return loss();
    }

    /// Of training at the options' limits.
    std::size_t activation_bytes() const noexcept { return training_bytes_; }
    /// Of `evaluate` alone.
    std::size_t evaluation_bytes() const noexcept { return evaluation_bytes_; }

    void describe(Fingerprint& fields) const {
        const T5Config& c = config();
        fields.add("num_heads", c.num_heads);
        fields.add("feed_forward_proj", static_cast<int>(c.feed_forward_proj));
        fields.add("relative_attention_max_distance", c.relative_attention_max_distance);
        fields.add("dropout", options_.dropout.value_or(c.dropout_rate));
        fields.add("dropout's seed", options_.seed);
        fields.add("layer_norm_epsilon", c.layer_norm_epsilon);
        fields.add("scale_decoder_outputs", c.scale_decoder_outputs);
        fields.add("pad_token_id", c.pad_token_id);
        fields.add("decoder_start_token_id", c.decoder_start_token_id);
        tape_.products().describe(fields);
    }

    const T5Config& config() const noexcept { return layout_.config(); }
    const T5Layout& layout() const noexcept { return layout_; }
    const T5Options& options() const noexcept { return options_; }
    /// Where the weights come from; empty if they are random.
    const std::filesystem::path& directory() const noexcept { return directory_; }
    Tape& tape() noexcept { return tape_; }
    /// The arena of the runs, of at least so many bytes.
    Arena<D>& arena(std::size_t bytes) {
        reserve(bytes);
        return arena_;
    }

private:
    using Weights = std::variant<T5StoredWeights, T5RandomWeights>;

    T5(const T5Config& config, Weights weights, const T5Options& options,
       std::filesystem::path directory)
        : layout_{config, options.frozen},
          weights_{std::move(weights)},
          options_{options},
          directory_{std::move(directory)},
          tape_{P{options.threads}} {
        const auto positive = [](const char* name, std::size_t value) {
            require(value > 0, Errc::config, "T5: ", name, " is 0, expected at least 1");
        };
        positive("micro_batch", options.micro_batch);
        positive("max_source_length", options.max_source_length);
        positive("max_target_length", options.max_target_length);
        const float dropout = options.dropout.value_or(config.dropout_rate);
        require(0 <= dropout && dropout < 1, Errc::config, "T5: dropout is ", dropout,
                ", expected a number in [0, 1)");
        training_bytes_ = measured(true, dropout);
        evaluation_bytes_ = measured(false, 0);
    }

    Loss loss() const noexcept {
        const MeanLoss of = tape_.loss();
        return {.sum = of.mean * static_cast<double>(of.tokens), .tokens = of.tokens};
    }
    /// The labels one place later: what the decoder reads.
    void shift_right(const Seq2SeqBatch& batch, std::span<std::int32_t> ids) const {
        const T5Config& config = layout_.config();
        for (std::size_t row = 0; row < batch.size; ++row)
            for (std::size_t at = 0; at < batch.target_length; ++at) {
                const std::size_t here = row * batch.target_length + at;
                const std::int32_t before =
                    at == 0 ? config.decoder_start_token_id : batch.labels[here - 1];
                ids[here] = before == ignored_label ? config.pad_token_id : before;
            }
    }
    void pass(Tape& tape, Arena<D>& arena, const Seq2SeqBatch& batch, Units<E> units,
              bool gradients, float dropout) const {
        arena.release(0);
        const auto decoder_ids = arena.template take<std::int32_t>(batch.labels.size());
        if (!arena.is_measuring()) shift_right(batch, decoder_ids);
        tape.start(arena, units,
                   {.gradients = gradients, .seed = options_.seed, .ordinals = batch.ordinals});
        Pass forward{tape, layout_, dropout, options_.recompute};
        tape.enter(layout_.shared().unit);
        const auto encode = [&] {
            return forward.encode(batch.source_ids, batch.source_mask, batch.size);
        };
        const Var<E> encoded = layout_.encoder_is_frozen() ? tape.constant(encode) : encode();
        forward.loss(forward.decode(decoder_ids, encoded, batch.source_mask), batch.labels);
        tape.leave(layout_.shared().unit);
    }
    std::size_t measured(bool gradients, float dropout) const {
        Seq2SeqBatch largest;
        largest.size = options_.micro_batch;
        largest.source_length = options_.max_source_length;
        largest.target_length = options_.max_target_length;
        largest.source_ids.resize(largest.size * largest.source_length);
        largest.source_mask.resize(largest.source_ids.size());
        largest.labels.resize(largest.size * largest.target_length);
        largest.ordinals.resize(largest.size);
        auto arena = Arena<D>::measuring("activations");
        Tape tape;
        pass(tape, arena, largest, {}, gradients, dropout);
        if (gradients) tape.backward(1);
        return arena.peak();
    }
    void reserve(std::size_t bytes) {
        if (arena_.capacity() >= bytes) return;
        arena_ = {};
        arena_ = Arena<D>{"activations", bytes, device()};
    }
    void check(const Seq2SeqBatch& batch) const {
        const auto at_most = [](const char* name, std::size_t value, std::size_t most) {
            require(1 <= value && value <= most, Errc::shape, "T5: a batch of ", name, " ", value,
                    ", expected 1 to ", most, " as the T5Options say");
        };
        at_most("size", batch.size, options_.micro_batch);
        at_most("source length", batch.source_length, options_.max_source_length);
        at_most("target length", batch.target_length, options_.max_target_length);
        const std::size_t sources = batch.size * batch.source_length,
                          targets = batch.size * batch.target_length;
        require(batch.source_ids.size() == sources && batch.source_mask.size() == sources &&
                    batch.labels.size() == targets && batch.ordinals.size() == batch.size,
                Errc::shape, "T5: a batch of ", batch.source_ids.size(), " source ids, ",
                batch.source_mask.size(), " mask entries, ", batch.labels.size(), " labels and ",
                batch.ordinals.size(), " ordinals, expected ", sources, ", ", sources, ", ",
                targets, " and ", batch.size);
    }

    T5Layout layout_;
    Weights weights_;
    T5Options options_;
    std::filesystem::path directory_;
    Tape tape_;
    Arena<D> arena_;
    std::size_t training_bytes_ = 0, evaluation_bytes_ = 0;
};
static_assert(TrainableOn<T5<float>, Seq2SeqBatch> && EvaluableOn<T5<float>, Seq2SeqBatch> &&
              PlansActivations<T5<float>> && DescribesItself<T5<float>>);

}  // namespace zeropp
