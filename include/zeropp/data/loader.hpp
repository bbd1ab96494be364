// SPDX-License-Identifier: Apache-2.0
/// \file Training batches of one rank, made ahead on a thread of their own.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <mutex>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/data/batch.hpp>
#include <zeropp/data/dataset.hpp>
#include <zeropp/data/sampler.hpp>
#include <zeropp/data/span_corruption.hpp>

namespace zeropp {

/// Micro-batches of one rank.
inline std::uint64_t batches_per_epoch(const Sampler& sampler) {
    return std::uint64_t{sampler.steps_per_epoch()} * sampler.shape().accumulation;
}

/// Makes the micro-batch with number `index` of one rank: micro-step index % accumulation of step
/// index / accumulation. Borrows the data set. Ordinals count through the epochs, so that dropout
/// falls on other values when an example comes again: epoch * size of the data set + its place.
class Seq2SeqBatches {
public:
    Seq2SeqBatches(const Seq2SeqDataset& data, Sampler sampler, std::size_t rank)
        : data_{&data}, sampler_{std::move(sampler)}, rank_{rank} {}

    std::uint64_t per_epoch() const { return batches_per_epoch(sampler_); }
    void operator()(std::uint64_t index, Seq2SeqBatch& batch) {
        const std::size_t accumulation = sampler_.shape().accumulation;
        const std::uint64_t step = index / accumulation, epoch = step / sampler_.steps_per_epoch();
        examples_.clear();
        for (const std::uint32_t i : sampler_.take(step, index % accumulation, rank_)) {
            examples_.push_back((*data_)[i]);
            examples_.back().ordinal += epoch * data_->size();
        }
        collate(examples_, batch);
    }

private:
    const Seq2SeqDataset* data_;
    Sampler sampler_;
    std::size_t rank_;
    std::vector<Seq2SeqExample> examples_;
};

/// The same of the sources alone, corrupted anew in each epoch.
class SpanCorruptionBatches {
public:
    SpanCorruptionBatches(const Seq2SeqDataset& data, Sampler sampler, std::size_t rank,
                          SpanCorruption corruption, std::uint64_t seed)
        : data_{&data},
          sampler_{std::move(sampler)},
          rank_{rank},
          corruption_{corruption},
          seed_{seed} {
        for (std::size_t i = 0; i < data.size(); ++i)
            require(data[i].source.size() >= 2, Errc::config, "span corruption: example ", i + 1,
                    " has no tokens, expected a text of at least one");
    }

    std::uint64_t per_epoch() const { return batches_per_epoch(sampler_); }
    void operator()(std::uint64_t index, Seq2SeqBatch& batch) {
        const std::size_t accumulation = sampler_.shape().accumulation;
        const std::uint64_t step = index / accumulation, epoch = step / sampler_.steps_per_epoch();
        const auto ordinals = sampler_.take(step, index % accumulation, rank_);
        texts_.resize(ordinals.size());
        examples_.clear();
        for (std::size_t i = 0; i < ordinals.size(); ++i) {
            auto& [source, target] = texts_[i];
            const auto tokens = (*data_)[ordinals[i]].source;  // ends with </s>
            corruption_(tokens.first(tokens.size() - 1), seed_, epoch, ordinals[i], source, target);
            examples_.push_back({source, target, epoch * data_->size() + ordinals[i]});
        }
        collate(examples_, batch);
    }

private:
    const Seq2SeqDataset* data_;
    Sampler sampler_;
    std::size_t rank_;
    SpanCorruption corruption_;
    std::uint64_t seed_;
    std::vector<std::pair<std::vector<std::int32_t>, std::vector<std::int32_t>>> texts_;
    std::vector<Seq2SeqExample> examples_;
};

/// Runs `make(index, batch)` for index = 0, 1, ... on a thread, up to three batches ahead of the
/// one in use. What `make` throws, next() throws in its turn. Neither copied nor moved.
class Loader {
public:
    /// At most `count` batches; epochs are those of `make`, if it says `per_epoch()`.
    template <class Make>
    explicit Loader(Make make, std::uint64_t count = std::numeric_limits<std::uint64_t>::max())
        : count_{count} {
        if constexpr (requires { make.per_epoch(); }) per_epoch_ = make.per_epoch();
        worker_ = std::thread{[this, make = std::move(make)]() mutable { work(make); }};
    }
    Loader(const Loader&) = delete;
    Loader& operator=(const Loader&) = delete;
    ~Loader() {
        {
            const std::lock_guard lock{mutex_};
            stop_ = true;
        }
        changed_.notify_all();
        worker_.join();
    }

    /// The next batch, valid until the next call. At most `count` calls.
    const Seq2SeqBatch& next() {
        require(taken_ < count_, Errc::config, "Loader: batch ", taken_ + 1,
                " is asked for, expected at most ", count_);
        std::unique_lock lock{mutex_};
        released_ = taken_;
        changed_.notify_all();
        changed_.wait(lock, [&] { return made_ > taken_ || error_; });
        if (made_ == taken_) std::rethrow_exception(error_);
        return slots_[taken_++ % slots];
    }

    /// One pass over the batches of an epoch, from 0: `for (const auto& batch : loader.epoch(n))`.
    /// A batch is valid until the next one is taken.
    class Epoch {
    public:
        struct End {};
        class Iterator {
        public:
            using value_type = Seq2SeqBatch;
            using difference_type = std::ptrdiff_t;
            Iterator(Loader& loader, std::uint64_t left) : loader_{&loader}, left_{left} { take(); }
            const Seq2SeqBatch& operator*() const noexcept { return *batch_; }
            Iterator& operator++() {
                --left_;
                take();
                return *this;
            }
            void operator++(int) { ++*this; }
            friend bool operator==(const Iterator& at, End) noexcept { return at.left_ == 0; }

        private:
            void take() {
                if (left_ != 0) batch_ = &loader_->next();
            }
            Loader* loader_;
            std::uint64_t left_;
            const Seq2SeqBatch* batch_ = nullptr;
        };
        Iterator begin() const { return {loader_, size_}; }
        End end() const noexcept { return {}; }
        std::uint64_t size() const noexcept { return size_; }

    private:
        friend class Loader;
        Epoch(Loader& loader, std::uint64_t size) : loader_{loader}, size_{size} {}
        Loader& loader_;
        std::uint64_t size_;
    };
    /// Starts at the epoch's first batch, wherever the last call of next() was.
    Epoch epoch(std::uint64_t number) {
        require(per_epoch_ != 0, Errc::config,
                "Loader: epoch is asked for, expected batches that say per_epoch()");
        seek(number * per_epoch_);
        return {*this, per_epoch_};
    }

private:
    static constexpr std::size_t slots = 4;

    void seek(std::uint64_t index) {
        if (index == taken_) return;
        {
            const std::lock_guard lock{mutex_};
            taken_ = made_ = released_ = index;
            error_ = nullptr;
            ++course_;
        }
        changed_.notify_all();
    }

    template <class Make>
    void work(Make& make) {
        std::unique_lock lock{mutex_};
        for (;;) {
            changed_.wait(lock, [&] {
                return stop_ || (!error_ && made_ < count_ && made_ < released_ + slots);
            });
            if (stop_) return;
            const std::uint64_t index = made_, course = course_;
            std::exception_ptr error;
            lock.unlock();
            try {
                make(index, slots_[index % slots]);
            } catch (...) {
                error = std::current_exception();
            }
            lock.lock();
            if (course == course_) {
                error_ = error;
                if (!error) ++made_;
            }
            changed_.notify_all();
        }
    }

    std::uint64_t count_, per_epoch_ = 0, taken_ = 0;
    // Guarded by mutex_, as the two after them.
    std::uint64_t made_ = 0, released_ = 0, course_ = 0;  // course_ changes with every seek
    bool stop_ = false;
    std::exception_ptr error_;
    std::mutex mutex_;
    std::condition_variable changed_;
    Seq2SeqBatch slots_[slots];
    std::thread worker_;
};

}  // namespace zeropp
