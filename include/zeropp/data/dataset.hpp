// SPDX-License-Identifier: Apache-2.0
/// \file The token ids of all examples of a file, in one pool.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/core/fingerprint.hpp>
#include <zeropp/data/batch.hpp>

namespace zeropp {

/// Where an example's texts are. An empty target: only the source is read, targets are empty.
struct TextColumns {
    std::string source = "article", target = "highlights";
};

struct TextExample {
    std::string source, target;
};

/// Lengths are in tokens, `</s>` included; longer texts are cut, as the tokenizer says.
struct Seq2SeqFormat {
    TextColumns columns{};
    std::string source_prefix{};
    std::size_t max_source_length = 512, max_target_length = 128;
};

/// An example's ordinal is its place in the file, from 0.
class Seq2SeqDataset {
public:
    void add(std::span<const std::int32_t> source, std::span<const std::int32_t> target) {
        ids_.insert(ids_.end(), source.begin(), source.end());
        ends_.push_back(ids_.size());
        ids_.insert(ids_.end(), target.begin(), target.end());
        ends_.push_back(ids_.size());
    }

    std::size_t size() const { return ends_.size() / 2; }
    /// Borrowed from the data set.
    Seq2SeqExample operator[](std::uint64_t ordinal) const {
        const std::size_t end = ends_[2 * ordinal + 1], middle = ends_[2 * ordinal];
        const std::size_t begin = ordinal == 0 ? 0 : ends_[2 * ordinal - 1];
        const std::span<const std::int32_t> ids{ids_};
        return {ids.subspan(begin, middle - begin), ids.subspan(middle, end - middle), ordinal};
    }
    /// Of all ids and where they end: data sets that differ have, in practice, another.
    std::uint64_t hash() const {
        const auto bytes = [](const auto& values) {
            return std::string_view{reinterpret_cast<const char*>(values.data()),
                                    values.size() * sizeof(values[0])};
        };
        return hash_of(bytes(ends_), hash_of(bytes(ids_)));
    }
    /// Of each example, what a sampler sorts by: its source length in steps of eight, then its
    /// target length. Batches of neighbours pad both little.
    std::vector<std::uint32_t> length_keys() const {
        std::vector<std::uint32_t> keys(size());
        for (std::size_t i = 0; i < size(); ++i) {
            const Seq2SeqExample example = (*this)[i];
            keys[i] = static_cast<std::uint32_t>(
                std::min(example.source.size() / 8, std::size_t{65'535}) << 16 |
                std::min(example.target.size(), std::size_t{65'535}));
        }
        return keys;
    }
    /// All ordinals in the order of their keys.
    std::vector<std::uint64_t> by_length() const {
        const std::vector<std::uint32_t> keys = length_keys();
        std::vector<std::uint64_t> ordinals(size());
        std::iota(ordinals.begin(), ordinals.end(), std::uint64_t{0});
        std::ranges::stable_sort(ordinals, {}, [&](std::uint64_t i) { return keys[i]; });
        return ordinals;
    }

private:
    std::vector<std::int32_t> ids_;
    std::vector<std::size_t> ends_;  ///< of source 0, target 0, source 1, ...
};

/// Tokenises on `threads` threads; the result does not depend on their number.
/// `Encoder::encode(text, longest)` gives ids with `</s>`, and may be called concurrently.
template <class Encoder>
Seq2SeqDataset tokenize(std::span<const TextExample> examples, const Encoder& encoder,
                        const Seq2SeqFormat& format, std::size_t threads = 1) {
    threads = std::clamp(threads, std::size_t{1}, std::max(examples.size(), std::size_t{1}));
    std::vector<Seq2SeqDataset> parts(threads);
    std::vector<std::exception_ptr> errors(threads);
    const auto work = [&](std::size_t t) {
        try {
            const std::size_t begin = examples.size() * t / threads;
            const std::size_t end = examples.size() * (t + 1) / threads;
            for (const TextExample& example : examples.subspan(begin, end - begin))
                parts[t].add(
                    encoder.encode(format.source_prefix + example.source, format.max_source_length),
                    encoder.encode(example.target, format.max_target_length));
        } catch (...) {
            errors[t] = std::current_exception();
        }
    };
    std::vector<std::thread> others;
    for (std::size_t t = 1; t < threads; ++t) others.emplace_back(work, t);
    work(0);
    for (std::thread& other : others) other.join();
    for (const std::exception_ptr& error : errors)
        if (error) std::rethrow_exception(error);
    for (std::size_t t = 1; t < threads; ++t)
        for (std::size_t i = 0; i < parts[t].size(); ++i)
            parts[0].add(parts[t][i].source, parts[t][i].target);
    return std::move(parts[0]);
}

}  // namespace zeropp
