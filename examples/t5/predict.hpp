// SPDX-License-Identifier: Apache-2.0
/// \file A trained model at work on a file: batches of examples of like length, on all cores.
#pragma once

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/data/dataset.hpp>
#include <zeropp/data/examples.hpp>
#include <zeropp/data/tokenizer.hpp>
#include <zeropp/device/onednn.hpp>
#include <zeropp/model/loaded_weights.hpp>
#include <zeropp/model/t5.hpp>
#include <zeropp/model/t5_generate.hpp>

#include "options.hpp"

inline zeropp::Seq2SeqFormat format_of(const TextOptions& text) {
    return {.columns = {text.source_column, text.target_column},
            .source_prefix = text.source_prefix,
            .max_source_length = text.max_source_length,
            .max_target_length = text.max_target_length};
}

inline std::size_t cores() { return std::max(1u, std::thread::hardware_concurrency()); }

/// Calls fn(float{}) or fn(Bf16{}): as asked, else bf16 where this processor multiplies it
/// natively.
template <class Fn>
decltype(auto) with_dtype(const std::optional<std::string>& dtype, Fn&& fn) {
    const bool narrow = dtype ? *dtype == "bf16" : zeropp::OneDnn{}.bf16_products_are_native();
    return narrow ? fn(zeropp::Bf16{}) : fn(float{});
}

/// Calls work(batch index) for 0 .. count - 1 from `make_worker()`s on all cores, one a thread.
template <class MakeWorker>
void on_all_cores(std::size_t count, MakeWorker make_worker) {
    std::atomic<std::size_t> next{0};
    std::mutex mutex;
    std::exception_ptr first;
    const auto run = [&] {
        try {
            auto work = make_worker();
            for (std::size_t i; (i = next.fetch_add(1)) < count;) work(i);
        } catch (...) {
            const std::lock_guard lock{mutex};
            if (!first) first = std::current_exception();
            next = count;
        }
    };
    std::vector<std::thread> others;
    for (std::size_t t = 1; t < std::min(cores(), count); ++t) others.emplace_back(run);
    run();
    for (std::thread& other : others) other.join();
    if (first) std::rethrow_exception(first);
}

/// A model's weights, shared by the threads, and a data set in batches of like length.
template <class Element>
class Predictor {
public:
    using Model = zeropp::T5<Element>;

    /// Borrows the data set.
    Predictor(const std::string& directory, const TextOptions& text, std::size_t batch,
              const zeropp::Seq2SeqDataset& data)
        : directory_{directory},
          limits_{.micro_batch = std::min(batch, data.size()),
                  .max_source_length = text.max_source_length,
                  .max_target_length = text.max_target_length},
          weights_{make_model()},
          data_{data},
          order_{data.by_length()} {}

    /// The mean loss over all labels.
    zeropp::Loss loss() {
        std::vector<zeropp::Loss> losses(batches());
        on_all_cores(batches(), [&] {
            return [&, model = make_model()](std::size_t b) mutable {
                losses[b] = model.evaluate(batch(b), weights_);
            };
        });
        double sum = 0;
        std::int64_t tokens = 0;
        for (const zeropp::Loss& loss : losses) {
            sum += loss.mean * static_cast<double>(loss.tokens);
            tokens += loss.tokens;
        }
        return {.mean = sum / static_cast<double>(std::max<std::int64_t>(1, tokens)),
                .tokens = tokens};
    }
    /// Tokens without the start token, in the order of the file.
    std::vector<std::vector<std::int32_t>> generate(std::size_t max_new_tokens) {
        std::vector<std::vector<std::int32_t>> all(data_.size());
        on_all_cores(batches(), [&] {
            return [&, generator = zeropp::T5Generator<Element>{make_model(), max_new_tokens}](
                       std::size_t b) mutable {
                auto tokens = generator.greedy(batch(b), weights_);
                for (std::size_t i = 0; i < tokens.size(); ++i)
                    all[order_[b * limits_.micro_batch + i]] = std::move(tokens[i]);
            };
        });
        return all;
    }

private:
    Model make_model() const { return Model::from_pretrained(directory_, limits_); }
    std::size_t batches() const {
        return (data_.size() + limits_.micro_batch - 1) / limits_.micro_batch;
    }
    zeropp::Seq2SeqBatch batch(std::size_t b) const {
        std::vector<zeropp::Seq2SeqExample> examples;
        const std::size_t end = std::min((b + 1) * limits_.micro_batch, order_.size());
        for (std::size_t i = b * limits_.micro_batch; i < end; ++i)
            examples.push_back(data_[order_[i]]);
        return zeropp::collate(examples);
    }

    std::string directory_;
    zeropp::T5Options limits_;
    zeropp::LoadedWeights<Model> weights_;
    const zeropp::Seq2SeqDataset& data_;
    std::vector<std::uint64_t> order_;
};
