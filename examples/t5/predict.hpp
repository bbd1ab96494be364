// SPDX-License-Identifier: Apache-2.0
/// \file A trained model at work on a file: batches of examples of like length, on all cores.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <zeropp/data/dataset.hpp>
#include <zeropp/data/examples.hpp>
#include <zeropp/model/concepts.hpp>

#include "options.hpp"

inline zeropp::Seq2SeqFormat format_of(const TextOptions& text) {
    return {.columns = {text.source_column, text.target_column},
            .source_prefix = text.source_prefix,
            .max_source_length = text.max_source_length,
            .max_target_length = text.max_target_length};
}

inline std::size_t cores() { return std::max(1u, std::thread::hardware_concurrency()); }

/// A model's weights and a data set.
class Predictor {
public:
    virtual ~Predictor() = default;
    /// The mean loss over all labels.
    virtual zeropp::Loss loss() = 0;
    /// Greedy: tokens without the start token, in the order of the file.
    virtual std::vector<std::vector<std::int32_t>> generate(std::size_t max_new_tokens) = 0;
};

/// Borrows the data set. `dtype`: "fp32", "bf16" or "fp16".
std::unique_ptr<Predictor> make_predictor(const std::string& directory, const std::string& dtype,
                                          const TextOptions& text, std::size_t batch,
                                          const zeropp::Seq2SeqDataset& data);
