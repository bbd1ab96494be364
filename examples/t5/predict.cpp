// SPDX-License-Identifier: Apache-2.0
/// \file The predictor in each precision.
#include "predict.hpp"

#include <atomic>
#include <exception>
#include <mutex>
#include <utility>

#include <zeropp/model/loaded_weights.hpp>
#include <zeropp/model/t5.hpp>
#include <zeropp/model/t5_generate.hpp>

namespace {

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

/// The weights are shared by the threads.
template <class Element>
class LoadedPredictor final : public Predictor {
public:
    using Model = zeropp::T5<Element>;

    LoadedPredictor(const std::string& directory, const TextOptions& text, std::size_t batch,
                    const zeropp::Seq2SeqDataset& data)
        : directory_{directory},
          limits_{.micro_batch = std::min(batch, data.size()),
                  .max_source_length = text.max_source_length,
                  .max_target_length = text.max_target_length},
          weights_{make_model()},
          data_{data},
          order_{data.by_length()} {}

    zeropp::Loss loss() override {
        std::vector<zeropp::Loss> losses(batches());
        on_all_cores(batches(), [&] {
            return [&, model = make_model()](std::size_t b) mutable {
                losses[b] = model.evaluate(batch(b), weights_);
            };
        });
        double sum = 0;
        std::int64_t tokens = 0;
        for (const zeropp::Loss& loss : losses) {
            sum += loss.sum;
            tokens += loss.tokens;
        }
        return {.sum = sum, .tokens = tokens};
    }
    std::vector<std::vector<std::int32_t>> generate(std::size_t max_new_tokens) override {
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

}  // namespace

std::unique_ptr<Predictor> make_predictor(const std::string& directory, const std::string& dtype,
                                          const TextOptions& text, std::size_t batch,
                                          const zeropp::Seq2SeqDataset& data) {
    if (dtype == "bf16")
        return std::make_unique<LoadedPredictor<zeropp::Bf16>>(directory, text, batch, data);
    if (dtype == "fp16")
        return std::make_unique<LoadedPredictor<zeropp::Half>>(directory, text, batch, data);
    return std::make_unique<LoadedPredictor<float>>(directory, text, batch, data);
}
