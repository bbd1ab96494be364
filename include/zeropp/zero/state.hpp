// SPDX-License-Identifier: Apache-2.0
/// \file What the optimizer keeps of the elements this rank updates: their master and slots.
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
    using Part = typename Master<E>::Part;
    static constexpr bool keeps_master = Master<E>::keeps;

public:
    OptimizerState(const Layout& layout, const StatePlan& plan, bool sharded, D device)
        : layout_{layout},
          device_{device},
          master_memory_{std::string{plan.master.name}, plan.master.bytes, device} {
        for (std::size_t s = 0; s < O::slots.size(); ++s)
            slot_memory_[s] = Arena<D>{plan.slots[s].name, plan.slots[s].bytes, device};
        for (const Bucket& bucket : layout.buckets()) {
            Home home;
            if (bucket.trainable) {
                const std::size_t owned = sharded ? bucket.shard : bucket.padded;
                if (keeps_master) home.master = master_memory_.template take<Part>(owned);
                for (std::size_t s = 0; s < O::slots.size(); ++s)
                    home.slots[s] = slot_memory_[s].template take<std::byte>(
                        slot_bytes(O::slots[s].format, owned));
            }
            homes_.push_back(home);
        }
    }

    /// Sets the master, and the parameters that follow from it: elements `first` on of what this
    /// rank owns of the bucket.
    void set(std::size_t bucket, std::size_t first, std::span<const float> values,
             std::span<E> parameters) {
        const std::span<Part> master = homes_[bucket].master;
        set_masters<E>(device_, values, parameters.subspan(first, values.size()),
                       master.empty() ? master : master.subspan(first, values.size()));
    }
    /// The fp32 master of elements `first` on of what this rank owns of the bucket.
    void get(std::size_t bucket, std::size_t first, std::span<float> values,
             std::span<const E> parameters) const {
        const std::span<const Part> master = homes_[bucket].master;
        get_masters<E>(device_, parameters.subspan(first, values.size()),
                       master.empty() ? master : master.subspan(first, values.size()), values);
    }

    /// Updates elements [first, first + parameters.size()) of the bucket, all that this rank owns.
    template <Element G, class Constants>
    void update(std::size_t bucket, std::size_t first, const Constants& constants, float scale,
                std::span<E> parameters, std::span<const G> gradients) {
        Home& home = homes_[bucket];
        for_each_trainable_run(
            layout_.buckets()[bucket], first, first + parameters.size(),
            [&](std::size_t begin, std::size_t count) {
                const std::size_t at = begin - first;
                SlotPlaces<O::slots.size()> slots;
                if constexpr (O::slots.size() > 0)
                    for (std::size_t s = 0; s < O::slots.size(); ++s)
                        slots[s] = home.slots[s].data() + slot_bytes(O::slots[s].format, at);
                update_elements<O>(device_, constants, scale, count, parameters.data() + at,
                                   keeps_master ? home.master.data() + at : nullptr,
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
        std::span<Part> master;
        std::array<std::span<std::byte>, O::slots.size()> slots;
    };

    const Layout& layout_;
    D device_;
    Arena<D> master_memory_;
    std::array<Arena<D>, O::slots.size()> slot_memory_;
    std::vector<Home> homes_;
};

}  // namespace zeropp
