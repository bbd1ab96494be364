// SPDX-License-Identifier: Apache-2.0
/// \file What the optimizer keeps of the elements this rank updates: master remainders and slots.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include <zeropp/device/arena.hpp>
#include <zeropp/zero/layout.hpp>
#include <zeropp/zero/plan.hpp>
#include <zeropp/zero/update.hpp>

namespace zeropp {

template <Element E, Optimizer O, Device D>
class OptimizerState {
    static constexpr bool splits_master = !std::same_as<E, float>;

public:
    OptimizerState(const Layout& layout, const StatePlan& plan, bool sharded, D device)
        : layout_{layout}, master_memory_{"master remainder", plan.master, device} {
        for (std::size_t s = 0; s < O::slots.size(); ++s)
            slot_memory_[s] = Arena<D>{std::string{O::slots[s]}, plan.slot, device};
        for (const Bucket& bucket : layout.buckets()) {
            Home home;
            if (bucket.trainable) {
                const std::size_t owned = sharded ? bucket.shard : bucket.padded;
                if constexpr (splits_master)
                    home.remainder = master_memory_.template take<std::uint16_t>(owned);
                for (std::size_t s = 0; s < O::slots.size(); ++s)
                    home.slots[s] = slot_memory_[s].template take<float>(owned);
            }
            homes_.push_back(home);
        }
    }

    /// Sets the master, and the parameters that follow from it: elements `first` on of what this
    /// rank owns of the bucket.
    void set(std::size_t bucket, std::size_t first, std::span<const float> values,
             std::span<E> parameters) {
        for (std::size_t i = 0; i < values.size(); ++i) {
            if constexpr (splits_master) {
                std::uint16_t discarded;
                std::uint16_t& remainder = homes_[bucket].remainder.empty()
                                               ? discarded
                                               : homes_[bucket].remainder[first + i];
                MasterSplit::split(values[i], parameters[first + i], remainder);
            } else {
                parameters[first + i] = values[i];
            }
        }
    }
    /// The fp32 master of elements `first` on of what this rank owns of the bucket.
    void get(std::size_t bucket, std::size_t first, std::span<float> values,
             std::span<const E> parameters) const {
        for (std::size_t i = 0; i < values.size(); ++i) {
            if constexpr (splits_master) {
                const auto& remainder = homes_[bucket].remainder;
                values[i] = remainder.empty()
                                ? static_cast<float>(parameters[first + i])
                                : MasterSplit::join(parameters[first + i], remainder[first + i]);
            } else {
                values[i] = parameters[first + i];
            }
        }
    }

    /// Updates elements [first, first + parameters.size()) of the bucket, all that this rank owns.
    template <Element G, class Constants>
    void update(std::size_t bucket, std::size_t first, const Constants& constants, float scale,
                std::span<E> parameters, std::span<const G> gradients) {
        Home& home = homes_[bucket];
        for_each_trainable_run(layout_.buckets()[bucket], first, first + parameters.size(),
                               [&](std::size_t begin, std::size_t count) {
                                   const std::size_t at = begin - first;
                                   std::array<float*, O::slots.size()> slots;
                                   for (std::size_t s = 0; s < slots.size(); ++s)
                                       slots[s] = home.slots[s].data() + at;
                                   update_elements<O>(
                                       constants, scale, count, parameters.data() + at,
                                       splits_master ? home.remainder.data() + at : nullptr,
                                       gradients.data() + at, slots);
                               });
    }

    std::size_t bytes_used() const {
        std::size_t bytes = master_memory_.used();
        for (const auto& slot : slot_memory_) bytes += slot.used();
        return bytes;
    }
    std::size_t bytes_reserved() const {
        std::size_t bytes = master_memory_.capacity();
        for (const auto& slot : slot_memory_) bytes += slot.capacity();
        return bytes;
    }

private:
    struct Home {
        std::span<std::uint16_t> remainder;
        std::array<std::span<float>, O::slots.size()> slots;
    };

    const Layout& layout_;
    Arena<D> master_memory_;
    std::array<Arena<D>, O::slots.size()> slot_memory_;
    std::vector<Home> homes_;
};

}  // namespace zeropp
