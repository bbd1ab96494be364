// SPDX-License-Identifier: Apache-2.0
/// \file A batch of source and target token ids, padded to the longest of the batch.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/core/labels.hpp>

namespace zeropp {

inline constexpr std::int32_t pad_token = 0;

/// Matrices are size x length, row-major. A row's real tokens come first.
struct Seq2SeqBatch {
    std::size_t size = 0, source_length = 0, target_length = 0;
    std::vector<std::int32_t> source_ids;   ///< size x source_length; padded with pad_token
    std::vector<std::uint8_t> source_mask;  ///< size x source_length; 1 = real
    std::vector<std::int32_t> labels;       ///< size x target_length; padded with ignored_label
    std::vector<std::uint64_t> ordinals;    ///< of the examples, keys of dropout
};

/// The token ids of one example, borrowed. `ordinal` is its number in the data set.
struct Seq2SeqExample {
    std::span<const std::int32_t> source, target;
    std::uint64_t ordinal = 0;
};

/// Writes into `batch`, whose memory is used again.
inline void collate(std::span<const Seq2SeqExample> examples, Seq2SeqBatch& batch) {
    batch.size = examples.size();
    batch.source_length = batch.target_length = 0;
    for (const Seq2SeqExample& example : examples) {
        require(!example.source.empty() && !example.target.empty(), Errc::shape,
                "collate: example ", example.ordinal, " has ", example.source.size(),
                " source and ", example.target.size(),
                " target tokens, expected at least one each");
        batch.source_length = std::max(batch.source_length, example.source.size());
        batch.target_length = std::max(batch.target_length, example.target.size());
    }
    batch.source_ids.assign(batch.size * batch.source_length, pad_token);
    batch.source_mask.assign(batch.size * batch.source_length, 0);
    batch.labels.assign(batch.size * batch.target_length, ignored_label);
    batch.ordinals.resize(batch.size);
    for (std::size_t row = 0; row < batch.size; ++row) {
        const Seq2SeqExample& example = examples[row];
        const auto source_at = static_cast<std::ptrdiff_t>(row * batch.source_length);
        const auto target_at = static_cast<std::ptrdiff_t>(row * batch.target_length);
        std::ranges::copy(example.source, batch.source_ids.begin() + source_at);
        std::fill_n(batch.source_mask.begin() + source_at, example.source.size(), std::uint8_t{1});
        std::ranges::copy(example.target, batch.labels.begin() + target_at);
        batch.ordinals[row] = example.ordinal;
    }
}

inline Seq2SeqBatch collate(std::span<const Seq2SeqExample> examples) {
    Seq2SeqBatch batch;
    collate(examples, batch);
    return batch;
}

}  // namespace zeropp
