// SPDX-License-Identifier: Apache-2.0
/// \file Which examples a rank takes in a micro-step: the order of an epoch is the same however
/// many ranks share it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/core/rng.hpp>

namespace zeropp {

/// Examples of a rank's micro-step, micro-steps of a step, ranks.
struct BatchShape {
    std::size_t micro = 1, accumulation = 1, ranks = 1;
    constexpr std::size_t total() const { return micro * accumulation * ranks; }
};

struct SampleOrder {
    bool shuffle = true;  ///< false: as in the file, every epoch
    std::uint64_t seed = 0;
    /// Steps whose examples are sorted by length key among themselves, so that a batch pads little;
    /// the steps then run in a shuffled order. 1: not sorted. Only with shuffle. (On the package
    /// descriptions, 96 source tokens, 64 a step: 50 takes 30 % off the tokens of padded batches.)
    std::size_t grouped_steps = 1;
};

/// Step k of an epoch takes places [k G, (k + 1) G) of the epoch's order, G = shape.total();
/// micro-step m of rank r those from k G + m micro ranks + r micro on. The examples after the last
/// whole step are left out of the epoch: other ones each time when shuffled.
/// The order is a function of (number and length keys of examples, order, G, epoch) only.
class Sampler {
public:
    /// `length_keys`, one of each example, are needed where steps are grouped.
    Sampler(std::size_t examples, BatchShape shape, SampleOrder order,
            std::vector<std::uint32_t> length_keys = {})
        : examples_{examples}, shape_{shape}, order_{order}, length_keys_{std::move(length_keys)} {
        require(shape.total() > 0, Errc::config, "Sampler: batch shape ", shape.micro, " x ",
                shape.accumulation, " x ", shape.ranks, ", expected at least 1 each");
        require(examples < std::numeric_limits<std::uint32_t>::max(), Errc::config,
                "Sampler: ", examples, " examples, expected fewer than 4294967295");
        require(examples >= shape.total(), Errc::config, "Sampler: ", examples,
                " examples are less than one step takes, expected at least ", shape.total(), " (",
                shape.micro, " a micro-step and rank x ", shape.accumulation, " micro-steps x ",
                shape.ranks, " ranks); use a smaller batch or more data");
        require(order.grouped_steps <= 1 || length_keys_.size() == examples, Errc::config,
                "Sampler: ", length_keys_.size(), " length keys, expected one of each of the ",
                examples, " examples");
    }

    std::size_t steps_per_epoch() const { return examples_ / shape_.total(); }
    const BatchShape& shape() const { return shape_; }

    /// Ordinals of the examples; `step` counts over all epochs from 0. Valid until the next call.
    std::span<const std::uint32_t> take(std::uint64_t step, std::size_t micro_step,
                                        std::size_t rank) {
        if (const std::uint64_t epoch = step / steps_per_epoch(); epoch != epoch_) arrange(epoch);
        const std::size_t place = step % steps_per_epoch() * shape_.total() +
                                  (micro_step * shape_.ranks + rank) * shape_.micro;
        return std::span{places_}.subspan(place, shape_.micro);
    }

private:
    static void shuffle(std::span<std::uint32_t> values, Random& random) {
        for (std::size_t i = values.size(); i > 1; --i)
            std::swap(values[i - 1], values[random.below(static_cast<std::uint32_t>(i))]);
    }

    void arrange(std::uint64_t epoch) {
        epoch_ = epoch;
        places_.resize(examples_);
        std::iota(places_.begin(), places_.end(), 0u);
        if (!order_.shuffle) return;
        Random random{order_.seed, epoch};
        shuffle(places_, random);
        if (order_.grouped_steps > 1) group(random);
    }

    void group(Random& random) {
        const std::size_t total = shape_.total(), steps = steps_per_epoch();
        std::vector<std::uint32_t> sorted(places_.begin(),
                                          places_.begin() + std::ptrdiff_t(steps * total));
        std::vector<std::uint32_t> step_of(steps);
        std::iota(step_of.begin(), step_of.end(), 0u);
        for (std::size_t first = 0; first < steps; first += order_.grouped_steps) {
            const std::size_t count = std::min(order_.grouped_steps, steps - first);
            std::ranges::stable_sort(std::span{sorted}.subspan(first * total, count * total), {},
                                     [&](std::uint32_t i) { return length_keys_[i]; });
            shuffle(std::span{step_of}.subspan(first, count), random);
        }
        for (std::size_t step = 0; step < steps; ++step)
            std::ranges::copy(std::span{sorted}.subspan(step_of[step] * total, total),
                              places_.begin() + std::ptrdiff_t(step * total));
    }

    std::size_t examples_;
    BatchShape shape_;
    SampleOrder order_;
    std::vector<std::uint32_t> length_keys_;
    std::uint64_t epoch_ = std::numeric_limits<std::uint64_t>::max();
    std::vector<std::uint32_t> places_;
};

}  // namespace zeropp
