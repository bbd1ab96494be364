// SPDX-License-Identifier: Apache-2.0
/// \file Where a T5's first weights come from: a file, or Hugging Face's initialisation.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/core/fingerprint.hpp>
#include <zeropp/core/rng.hpp>
#include <zeropp/format/stored_weights.hpp>
#include <zeropp/format/t5_config.hpp>
#include <zeropp/model/t5_layout.hpp>

namespace zeropp {

/// Hugging Face's distributions (T5PreTrainedModel._init_weights). A value is a function of (seed,
/// parameter's name, index): any range on any rank.
class T5RandomWeights {
public:
    T5RandomWeights(const T5Config& config, std::uint64_t seed) : config_{config}, seed_{seed} {}

    void fill(const Parameter& parameter, std::size_t first, std::span<float> out) const {
        if (parameter.name.ends_with("layer_norm.weight")) {
            std::ranges::fill(out, config_.initializer_factor);
            return;
        }
        const float scale = deviation(parameter.name);
        const std::uint64_t stream = hash_of(parameter.name);
        for (std::size_t i = 0; i < out.size(); ++i)
            out[i] = scale * normal_at(seed_, stream, first + i);
    }

private:
    float deviation(std::string_view name) const {
        const auto root = [](std::size_t n) { return 1 / std::sqrt(static_cast<double>(n)); };
        double scale = 1;  // shared, lm_head
        if (name.ends_with(".q.weight"))
            scale = root(config_.d_model * config_.d_kv);
        else if (name.ends_with(".o.weight"))
            scale = root(config_.inner_size());
        else if (name.ends_with(".wo.weight"))
            scale = root(config_.d_ff);
        else if (name.find(".block.") != name.npos)  // k, v, wi, position bias
            scale = root(config_.d_model);
        return static_cast<float>(config_.initializer_factor * scale);
    }

    T5Config config_;
    std::uint64_t seed_;
};

/// The tensors of a model directory, found and checked when it is opened; read when asked for.
class T5StoredWeights {
public:
    /// `config` as config.json says. What is tied is decided by the file: a head that is missing,
    /// or equal to the embedding, is the embedding.
    T5StoredWeights(const std::filesystem::path& directory, T5Config& config) : stored_{directory} {
        const StoredTensor* const head = stored_.find("lm_head.weight");
        config.tie_word_embeddings = head == nullptr || is_equal(*head, at("shared.weight"));
        for (const std::string_view copy : {embeddings[1], embeddings[2]})
            if (const StoredTensor* const tensor = stored_.find(copy))
                require(is_equal(*tensor, at("shared.weight")), Errc::io, stored_.name(),
                        ": tensor '", copy, "' differs from 'shared.weight', expected its copy");
        const T5Layout layout{config};
        std::vector<std::string_view> used;
        for (const Unit& unit : layout.units())
            for (const Parameter& parameter : unit.parameters) {
                const StoredTensor& tensor = at(parameter.name);
                require(tensor.shape == parameter.shape, Errc::shape, stored_.name(), ": tensor '",
                        tensor.name, "' has shape ", text_of(tensor.shape), ", expected ",
                        text_of(parameter.shape), " by config.json");
                require(tensor.dtype == "F32" || tensor.dtype == "BF16" || tensor.dtype == "F16",
                        Errc::io, stored_.name(), ": tensor '", tensor.name, "' is of type ",
                        tensor.dtype, ", expected F32, BF16 or F16");
                used.push_back(tensor.name);
            }
        std::ranges::sort(used);
        for (const StoredTensor* const tensor : stored_.tensors())
            require(std::ranges::binary_search(used, tensor->name) || is_copy(tensor->name),
                    Errc::shape, stored_.name(), ": tensor '", tensor->name,
                    "' has no place in the model, expected the tensors of a T5 with ",
                    config.num_layers, " and ", config.num_decoder_layers,
                    " layers, as config.json says");
    }

    void fill(const Parameter& parameter, std::size_t first, std::span<float> out) const {
        at(parameter.name).read(first, out);
    }

private:
    static constexpr std::array<std::string_view, 4> embeddings{
        "shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight",
        "lm_head.weight"};

    /// Copies of other tensors, and one that old checkpoints have and nothing reads.
    static bool is_copy(std::string_view name) {
        return std::ranges::find(embeddings, name) != embeddings.end() ||
               name == "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight";
    }
    const StoredTensor& at(const std::string& name) const {
        const StoredTensor* tensor = stored_.find(name);
        if (name == "shared.weight")
            for (std::size_t i = 1; tensor == nullptr && i < embeddings.size(); ++i)
                tensor = stored_.find(embeddings[i]);
        require(tensor != nullptr, Errc::io, stored_.name(), ": tensor '", name,
                "' is missing, expected every tensor of the T5 that config.json describes");
        return *tensor;
    }
    static bool is_equal(const StoredTensor& a, const StoredTensor& b) {
        if (&a == &b) return true;
        if (a.shape != b.shape) return false;
        std::array<float, 4096> left, right;
        for (std::size_t first = 0; first < a.size(); first += left.size()) {
            const std::size_t count = std::min(left.size(), a.size() - first);
            a.read(first, std::span{left}.first(count));
            b.read(first, std::span{right}.first(count));
            if (!std::equal(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(count),
                            right.begin()))
                return false;
        }
        return true;
    }
    static std::string text_of(const std::vector<std::size_t>& shape) {
        std::string text;
        for (const std::size_t extent : shape)
            text += (text.empty() ? "[" : ", ") + std::to_string(extent);
        return (text.empty() ? "[" : text) + "]";
    }

    StoredWeights stored_;
};

}  // namespace zeropp
