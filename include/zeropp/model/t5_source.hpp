// SPDX-License-Identifier: Apache-2.0
/// \file Where the values of a T5's parameters come from: a model directory, or a seed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
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
#include <zeropp/model/t5_units.hpp>

namespace zeropp {

/// A description of a T5 and its values. Copies share the files.
class T5Source {
public:
    /// Hugging Face's initial distribution. A value depends on seed, name and index alone.
    T5Source(const T5Config& config, std::uint64_t seed)
        : config_{checked(config)}, seed_{seed}, units_{config_} {}

    /// The directory's config.json and safetensors. What is tied is decided by the tensors: no
    /// lm_head.weight, or one equal to shared.weight.
    explicit T5Source(const std::filesystem::path& folder)
        : weights_{std::make_shared<const StoredWeights>(folder)},
          config_{with_head_of_file(read_t5_config(folder / "config.json"))},
          units_{config_} {
        for (const Unit& unit : units_.units) {
            stored_.emplace_back();
            for (const Parameter& parameter : unit.parameters)
                stored_.back().push_back(tensor_of(parameter));
        }
        for (const StoredTensor* tensor : weights_->tensors()) check_known(*tensor);
    }

    const T5Config& config() const noexcept { return config_; }
    const std::vector<Unit>& units() const noexcept { return units_.units; }
    const T5Places& places() const noexcept { return units_.places; }

    void fill(std::size_t unit, std::size_t parameter, std::size_t first,
              std::span<float> out) const {
        if (weights_ != nullptr) return stored_[unit][parameter]->read(first, out);
        const float deviation = units_.deviations[unit][parameter];
        if (deviation == 0) {
            std::fill(out.begin(), out.end(), units_.initial_norm);
            return;
        }
        const std::uint64_t stream = hash_of(units_.units[unit].parameters[parameter].name);
        for (std::size_t i = 0; i < out.size(); ++i)
            out[i] = deviation * normal_at(seed_, stream, first + i);
    }

private:
    static T5Config checked(const T5Config& config) {
        require_valid(config, "T5Config");
        return config;
    }
    const StoredTensor* shared() const {
        for (const char* name :
             {"shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"})
            if (const StoredTensor* found = weights_->find(name)) return found;
        return nullptr;
    }
    static bool equal(const StoredTensor& a, const StoredTensor& b) {
        return a.dtype == b.dtype && a.shape == b.shape &&
               (a.bytes.empty() ||
                std::memcmp(a.bytes.data(), b.bytes.data(), a.bytes.size()) == 0);
    }
    T5Config with_head_of_file(T5Config config) const {
        const StoredTensor *const head = weights_->find("lm_head.weight"), *const table = shared();
        config.tie_word_embeddings = head == nullptr || (table != nullptr && equal(*head, *table));
        return config;
    }
    static std::string text_of(const std::vector<std::size_t>& shape) {
        std::string text = "[";
        for (const std::size_t extent : shape)
            text += (text.size() == 1 ? "" : ", ") + std::to_string(extent);
        return text + "]";
    }
    const StoredTensor* tensor_of(const Parameter& parameter) const {
        const StoredTensor* const tensor =
            parameter.name == "shared.weight" ? shared() : weights_->find(parameter.name);
        require(tensor != nullptr, Errc::io, weights_->name(), ": tensor '", parameter.name,
                "' is missing, expected one of shape ", text_of(parameter.shape));
        require(tensor->shape == parameter.shape, Errc::shape, weights_->name(), ": tensor '",
                parameter.name, "' has shape ", text_of(tensor->shape), ", expected ",
                text_of(parameter.shape), " by config.json");
        require(tensor->dtype == "F32" || tensor->dtype == "BF16" || tensor->dtype == "F16",
                Errc::io, weights_->name(), ": tensor '", parameter.name, "' is of type ",
                tensor->dtype, ", expected F32, BF16 or F16");
        return tensor;
    }
    /// A copy of the embedding must be one; a tensor that the configuration has no use for would
    /// mean that it describes another model.
    void check_known(const StoredTensor& tensor) const {
        for (const auto& unit : stored_)
            if (std::find(unit.begin(), unit.end(), &tensor) != unit.end()) return;
        if (tensor.name == "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight")
            return;  // of old files, used by nothing
        const bool copy = tensor.name == "lm_head.weight" || tensor.name == "shared.weight" ||
                          tensor.name == "encoder.embed_tokens.weight" ||
                          tensor.name == "decoder.embed_tokens.weight";
        require(copy, Errc::io, weights_->name(), ": tensor '", tensor.name,
                "' is no part of the model that config.json describes, expected none such");
        require(equal(tensor, *shared()), Errc::io, weights_->name(), ": tensor '", tensor.name,
                "' differs from shared.weight, expected a copy");
    }

    std::shared_ptr<const StoredWeights> weights_;  ///< null: new values
    T5Config config_;
    std::uint64_t seed_ = 0;
    T5Units units_;
    std::vector<std::vector<const StoredTensor*>> stored_;
};

}  // namespace zeropp
