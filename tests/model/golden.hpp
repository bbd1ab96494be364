// SPDX-License-Identifier: Apache-2.0
/// \file The golden T5 models (tests/golden/t5.py) and what transformers computed with them.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <zeropp/data/batch.hpp>
#include <zeropp/format/safetensors.hpp>
#include <zeropp/model/concepts.hpp>
#include <zeropp/model/freeze.hpp>

namespace zeropp::testing {

/// relu_tied: inner dimension 12 beside 16. old_config: keys of 2020 only. gated_untied: T5 1.1,
/// encoder deeper than decoder, stored in bf16. deep_decoder: decoder deeper, padded vocabulary,
/// tied but not scaled, two files. scaled_untied: scale_decoder_outputs, stored in fp16.
inline const char* const golden_cases[] = {"relu_tied", "old_config", "gated_untied",
                                           "deep_decoder", "scaled_untied"};

inline std::filesystem::path golden_directory(const std::string& name) {
    return std::filesystem::path{__FILE__}.parent_path().parent_path() / "golden" / "t5" / name;
}

class Golden {
public:
    explicit Golden(const std::string& name, const char* file = "golden.safetensors")
        : file_{golden_directory(name) / file} {}

    const StoredTensor& tensor(const std::string& name) const {
        for (const StoredTensor& tensor : file_.tensors())
            if (tensor.name == name) return tensor;
        fail(Errc::io, "golden data: no tensor '", name, "', expected one");
    }
    bool has(const std::string& name) const {
        for (const StoredTensor& tensor : file_.tensors())
            if (tensor.name == name) return true;
        return false;
    }
    std::size_t count(const std::string& prefix) const {
        std::size_t all = 0;
        for (const StoredTensor& tensor : file_.tensors()) all += tensor.name.starts_with(prefix);
        return all;
    }
    std::vector<float> values(const std::string& name) const {
        std::vector<float> all(tensor(name).size());
        tensor(name).read(0, all);
        return all;
    }
    template <class T = std::int32_t>
    std::vector<T> integers(const std::string& name) const {
        const std::vector<float> all = values(name);
        return {all.begin(), all.end()};
    }
    /// The first batch, or with prefix "second." the second.
    Seq2SeqBatch batch(const std::string& prefix = "") const {
        Seq2SeqBatch batch;
        batch.size = tensor(prefix + "source_ids").shape[0];
        batch.source_length = tensor(prefix + "source_ids").shape[1];
        batch.target_length = tensor(prefix + "labels").shape[1];
        batch.source_ids = integers(prefix + "source_ids");
        batch.source_mask = integers<std::uint8_t>(prefix + "source_mask");
        batch.labels = integers(prefix + "labels");
        for (std::size_t row = 0; row < batch.size; ++row) batch.ordinals.push_back(row);
        return batch;
    }

private:
    SafetensorsFile file_;
};

/// |a - b| / |b|, Euclidean; infinite where a size or a value is no match at all.
inline double relative_distance(std::span<const float> a, std::span<const float> b) {
    if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
    double difference = 0, size = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        difference += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
        size += double{b[i]} * b[i];
    }
    const double ratio = std::sqrt(difference / (size > 0 ? size : 1));
    return std::isnan(ratio) ? std::numeric_limits<double>::infinity() : ratio;
}

/// A model's weights and gradients on this process; checks the order of a model's calls.
template <class M>
class Recorder final : public UnitObserver<typename M::Element> {
public:
    using Element = typename M::Element;

    explicit Recorder(const M& model) : units_{model.units()} {
        for (std::size_t u = 0; u < units_.size(); ++u) {
            weights_.emplace_back(unit_size(units_[u]));
            gradients_.emplace_back(gradient_size(units_[u]),
                                    static_cast<Element>(std::numeric_limits<float>::quiet_NaN()));
            for (std::size_t p = 0; p < units_[u].parameters.size(); ++p) {
                std::vector<float> values(units_[u].parameters[p].size());
                model.fill(u, p, 0, values);
                for (std::size_t i = 0; i < values.size(); ++i)
                    weights_[u][parameter_offset(units_[u], p) + i] =
                        static_cast<Element>(values[i]);
            }
        }
        used_.resize(units_.size());
        uses_.resize(units_.size());
        readies_.resize(units_.size());
    }

    std::span<const Element> use(std::size_t unit) override {
        mistakes += used_[unit] != 0;
        ++used_[unit];
        ++uses_[unit];
        return weights_[unit];
    }
    void release(std::size_t unit) override {
        mistakes += used_[unit] != 1;
        --used_[unit];
    }
    std::span<Element> gradient(std::size_t unit) override {
        mistakes += used_[unit] != 1;
        return gradients_[unit];
    }
    void ready(std::size_t unit) override {
        mistakes += used_[unit] != 1;
        ++readies_[unit];
    }

    /// By parameter name; none of those that are frozen.
    std::map<std::string, std::vector<float>> gradients() const {
        std::map<std::string, std::vector<float>> all;
        for (std::size_t u = 0; u < units_.size(); ++u)
            for (std::size_t p = 0; p < units_[u].parameters.size(); ++p) {
                const Parameter& parameter = units_[u].parameters[p];
                if (!parameter.trainable) continue;
                const std::size_t offset = parameter_offset(units_[u], p);
                for (std::size_t i = 0; i < parameter.size(); ++i)
                    all[parameter.name].push_back(static_cast<float>(gradients_[u][offset + i]));
            }
        return all;
    }
    /// Each unit used `times` times and, if so told, ready once; nothing left in use.
    bool is_complete(std::size_t times, std::size_t readies) const {
        for (std::size_t u = 0; u < units_.size(); ++u)
            if (used_[u] != 0 || uses_[u] != times || readies_[u] != readies) return false;
        return mistakes == 0;
    }

    std::size_t mistakes = 0;

private:
    std::vector<Unit> units_;
    std::vector<std::vector<Element>> weights_, gradients_;
    std::vector<std::size_t> used_, uses_, readies_;
};

}  // namespace zeropp::testing
