// SPDX-License-Identifier: Apache-2.0
/// \file The parameters of a T5 by Hugging Face's names, grouped into units, and their places.
#pragma once

#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/format/t5_config.hpp>
#include <zeropp/model/concepts.hpp>
#include <zeropp/tensor/tape.hpp>

namespace zeropp {

/// Of an attention with its norm. q, k and v stand in this order, back to back where a weight's
/// size is a multiple of `parameter_alignment`: then one product serves all.
struct T5AttentionPlaces {
    ParameterRef q, k, v, o, norm;
};
/// wi_1 is empty without a gate; with one it follows wi.
struct T5FeedForwardPlaces {
    ParameterRef wi, wi_1, wo, norm;
};
struct T5BlockPlaces {
    std::size_t unit = 0;
    T5AttentionPlaces self, cross;  ///< cross of a decoder's block only
    T5FeedForwardPlaces feed_forward;
    ParameterRef final_norm;  ///< of the last block of a stack: rank 0 in the others
};

/// Units: 0 is what every part shares, the embedding and the two tables of position biases; then a
/// unit a block, encoder first; then the head, if it has a weight of its own.
struct T5Places {
    ParameterRef shared, encoder_bias, decoder_bias;
    ParameterRef head;  ///< `shared` if tied
    std::vector<T5BlockPlaces> encoder, decoder;
};

struct T5Units {
    std::vector<Unit> units;
    std::vector<std::vector<float>> deviations;  ///< of new values, by unit and parameter
    T5Places places;

    /// The head is tied if config.tie_word_embeddings.
    explicit T5Units(const T5Config& config) {
        const auto heads = static_cast<double>(config.num_heads),
                   d_model = static_cast<double>(config.d_model),
                   d_kv = static_cast<double>(config.d_kv), d_ff = static_cast<double>(config.d_ff);
        const double factor = config.initializer_factor, by_model = std::pow(d_model, -0.5);
        const std::size_t inner = config.inner_size();

        begin("shared", true);
        const std::vector<std::size_t> table{config.relative_attention_num_buckets,
                                             config.num_heads};
        const std::string bias = ".block.0.layer.0.SelfAttention.relative_attention_bias.weight";
        places.shared = add("shared.weight", {config.vocab_size, config.d_model}, factor);
        places.encoder_bias = add("encoder" + bias, table, factor * by_model);
        places.decoder_bias = add("decoder" + bias, table, factor * by_model);

        const auto norm = [&](const std::string& name) {
            return add(name + "layer_norm.weight", {config.d_model}, 0);
        };
        const auto attention = [&](const std::string& layer, const char* kind) {
            const std::string name = layer + kind;
            T5AttentionPlaces at;
            at.q = add(name + ".q.weight", {inner, config.d_model},
                       factor * std::pow(d_model * d_kv, -0.5));
            at.k = add(name + ".k.weight", {inner, config.d_model}, factor * by_model);
            at.v = add(name + ".v.weight", {inner, config.d_model}, factor * by_model);
            at.o = add(name + ".o.weight", {config.d_model, inner},
                       factor * std::pow(heads * d_kv, -0.5));
            at.norm = norm(layer);
            return at;
        };
        const auto feed_forward = [&](const std::string& layer) {
            const std::string name = layer + "DenseReluDense.";
            const bool gated = config.feed_forward_proj == T5Config::FeedForward::gated_gelu;
            const std::vector<std::size_t> in{config.d_ff, config.d_model};
            T5FeedForwardPlaces at;
            at.wi = add(name + (gated ? "wi_0.weight" : "wi.weight"), in, factor * by_model);
            if (gated) at.wi_1 = add(name + "wi_1.weight", in, factor * by_model);
            at.wo = add(name + "wo.weight", {config.d_model, config.d_ff},
                        factor * std::pow(d_ff, -0.5));
            at.norm = norm(layer);
            return at;
        };
        const auto stack = [&](const std::string& name, std::size_t blocks, bool decoder) {
            std::vector<T5BlockPlaces> all;
            for (std::size_t b = 0; b < blocks; ++b) {
                const std::string block = name + ".block." + std::to_string(b);
                begin(block, false);
                T5BlockPlaces at;
                at.unit = units.size() - 1;
                at.self = attention(block + ".layer.0.", "SelfAttention");
                if (decoder) at.cross = attention(block + ".layer.1.", "EncDecAttention");
                at.feed_forward = feed_forward(block + (decoder ? ".layer.2." : ".layer.1."));
                if (b + 1 == blocks) at.final_norm = norm(name + ".final_");
                all.push_back(at);
            }
            return all;
        };
        places.encoder = stack("encoder", config.num_layers, false);
        places.decoder = stack("decoder", config.num_decoder_layers, true);
        places.head = places.shared;
        if (!config.tie_word_embeddings) {
            begin("lm_head", false);
            places.head = add("lm_head.weight", {config.vocab_size, config.d_model}, factor);
        }
        initial_norm = config.initializer_factor;
    }

    float initial_norm = 1;  ///< every element of a new norm; its deviation is 0

private:
    void begin(const std::string& name, bool resident) {
        units.push_back({name, {}, resident});
        deviations.emplace_back();
    }
    ParameterRef add(std::string name, std::vector<std::size_t> shape, double deviation) {
        Unit& unit = units.back();
        const std::size_t index = unit.parameters.size();
        const Shape extents = shape.size() == 1 ? Shape{shape[0]} : Shape{shape[0], shape[1]};
        unit.parameters.push_back({std::move(name), std::move(shape)});
        deviations.back().push_back(static_cast<float>(deviation));
        return {units.size() - 1, parameter_offset(unit, index), extents};
    }
};

}  // namespace zeropp
