// SPDX-License-Identifier: Apache-2.0
/// \file From what a backward pass writes to the mean over ranks: staging, accumulation and
/// reduction, started bucket by bucket while backward goes on.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <zeropp/comm/concepts.hpp>
#include <zeropp/device/arena.hpp>
#include <zeropp/zero/layout.hpp>
#include <zeropp/zero/plan.hpp>
#include <zeropp/zero/stage.hpp>
#include <zeropp/zero/update.hpp>

namespace zeropp {

template <Element E, Stage S, Communicator C, Device D>
class GradientStore {
    using Reduction =
        decltype(std::declval<C&>().reduce_scatter(std::span<const E>{}, std::span<E>{}));
    using Gather = decltype(std::declval<C&>().all_gather(std::span<const std::byte>{},
                                                          std::span<std::byte>{}));

public:
    GradientStore(const Layout& layout, C& comm, const GradientPlan& how, const StatePlan& plan,
                  D device)
        : layout_{layout},
          comm_{comm},
          how_{how},
          device_{device},
          memory_{"gradients", plan.gradients, device},
          staging_memory_{"gradient staging", plan.staging, device},
          units_(layout.units()) {
        const std::size_t largest = StatePlan::largest_rotating(layout);
        slots_.reserve(StatePlan::rotating + layout.buckets().size());
        if (!how_.in_place && largest != 0)
            for (; rotating_ < StatePlan::rotating; ++rotating_)
                slots_.push_back(make_slot(largest));
        for (const Bucket& bucket : layout.buckets()) {
            Home home;
            if (bucket.trainable) {
                home.values = memory_.template take<std::byte>(
                    (how_.full ? bucket.active : bucket.shard) * size_of(how_.type));
                if (how_.in_place || bucket.resident) {
                    home.own_slot = static_cast<std::ptrdiff_t>(slots_.size());
                    slots_.push_back(how_.in_place ? Slot{as<E>(home.values), {}}
                                                   : make_slot(bucket.active));
                }
            }
            homes_.push_back(std::move(home));
        }
        flying_.reserve(StatePlan::in_flight);
    }

    /// From the next step on, whether this rank looks for the first element of its own gradients
    /// that is not finite and of a trainable parameter: one more pass over them.
    void watch(bool watching) {
        watching_ = watching;
        first_bad_ = none;
    }
    /// What watching found, as an element of all buckets; `none` if nothing.
    std::size_t first_bad() const noexcept { return first_bad_; }
    static constexpr std::size_t none = ~std::size_t{0};

    void begin_micro_step(int index) {
        micro_ = index;
        units_.assign(layout_.units(), Progress::untouched);
        for (Home& home : homes_) {
            home.units_ready = 0;
            home.done = false;
        }
    }
    /// After `settle()`: gives up a backward pass that was not finished.
    void abandon() {
        first_bad_ = none;
        for (Home& home : homes_)
            if (home.slot >= 0) free_slot(home);
    }

    /// Where the model writes the unit's gradients, `gradient_size` elements.
    std::span<E> acquire(std::size_t unit) {
        const std::size_t b = layout_.bucket_of(unit);
        const Bucket& bucket = layout_.buckets()[b];
        if (!bucket.trainable) return {};
        require(units_[unit] != Progress::ready, Errc::config, "Trainer: unit ", unit,
                " writes gradients after it was ready, expected gradient(unit) before");
        units_[unit] = Progress::written;
        Home& home = homes_[b];
        if (home.slot < 0) {
            home.slot = home.own_slot >= 0 ? home.own_slot : free_rotating_slot(unit);
            Slot& slot = slots_[static_cast<std::size_t>(home.slot)];
            slot.is_free = false;
            for_each_gap(bucket, [&](std::size_t first, std::size_t count) {
                device_.fill_zero(std::as_writable_bytes(slot.wire.subspan(first, count)).data(),
                                  count * sizeof(E));
            });
        }
        return slots_[static_cast<std::size_t>(home.slot)].wire.subspan(
            layout_.offset_in_bucket(unit), layout_.gradient_size_of_unit(unit));
    }

    /// Collective when the unit completes its bucket and it is time to reduce: sends (W-1)/W of it.
    void ready(std::size_t unit) {
        const std::size_t b = layout_.bucket_of(unit);
        const Bucket& bucket = layout_.buckets()[b];
        if (!bucket.trainable) return;
        Home& home = homes_[b];
        require(units_[unit] != Progress::ready, Errc::config, "Trainer: unit ", unit,
                " is ready twice, expected once a backward pass");
        require(units_[unit] == Progress::written, Errc::config, "Trainer: unit ", unit,
                " is ready, expected gradient(unit) before");
        units_[unit] = Progress::ready;
        if (++home.units_ready < bucket.unit_count) return;
        const std::span<E> wire =
            slots_[static_cast<std::size_t>(home.slot)].wire.first(bucket.active);
        if (watching_) look_at(bucket, wire);
        if (how_.local_sum) {
            typed([&](auto tag) {
                using G = decltype(tag);
                const std::span<G> sum = as<G>(home.values);
                accumulate<E, G>(device_, wire, sum, micro_ == 0);
                if (is_last()) round_to<G, E>(device_, sum, wire);
            });
            if (!is_last()) {
                free_slot(home);
                home.done = true;
                return;
            }
        }
        while (flying_.size() >= StatePlan::in_flight) land();
        typed([&](auto tag) {
            using G = decltype(tag);
            flying_.push_back({b, comm_.reduce_scatter(std::span<const E>{wire}, reduced<G>(b))});
        });
    }

    /// Waits for the micro-step's reductions; in stage 0, collective after the last one: gathers
    /// the reduced gradients, (W-1) shards a bucket.
    void finish_micro_step() {
        while (!flying_.empty()) land();
        for (std::size_t b = 0; b < homes_.size(); ++b) {
            const Bucket& bucket = layout_.buckets()[b];
            require(!bucket.trainable || homes_[b].done, Errc::config,
                    "Trainer: backward ended and unit ", bucket.first_unit,
                    " or one in its bucket was not ready, expected ready(unit) for every unit");
        }
        if constexpr (!S::shards_optimizer)
            if (is_last())
                for (std::size_t b = 0; b < homes_.size(); ++b) {
                    if (!layout_.buckets()[b].trainable) continue;
                    typed([&](auto tag) {
                        using G = decltype(tag);
                        const std::span<G> mine = shard<G>(b);
                        homes_[b].gather = comm_.all_gather(
                            std::as_bytes(mine), std::as_writable_bytes(homes_[b].values));
                    });
                }
    }

    /// This rank's shard of the reduced gradient.
    template <class G>
    std::span<G> shard(std::size_t b) {
        const Bucket& bucket = layout_.buckets()[b];
        const std::span<G> values = as<G>(homes_[b].values);
        return how_.full ? values.subspan(bucket.first_of_shard(comm_.rank()), bucket.shard)
                         : values;
    }
    /// The reduced gradient of what this rank updates: its shard, or all of it in stage 0.
    template <class G>
    std::span<const G> owned(std::size_t b) {
        if constexpr (S::shards_optimizer) return shard<G>(b);
        homes_[b].gather.wait();
        return as<G>(homes_[b].values);
    }

    /// Calls visit(G{}) with the gradient type, a run-time choice between E and float.
    template <class Visit>
    void typed(Visit visit) {
        if constexpr (!std::same_as<E, float>)
            if (how_.type != DType::fp32) return visit(E{});
        visit(float{});
    }

    void settle() {
        while (!flying_.empty()) land();
        for (Home& home : homes_) home.gather.wait();
    }
    std::size_t bytes_used() const { return memory_.used() + staging_memory_.used(); }
    std::size_t bytes_reserved() const { return memory_.capacity() + staging_memory_.capacity(); }

private:
    struct Slot {
        std::span<E> wire;            ///< what a backward pass writes and the ranks exchange
        std::span<std::byte> result;  ///< a shard, where it is added to an earlier micro-step's
        bool is_free = true;
    };
    enum class Progress : std::uint8_t { untouched, written, ready };
    struct Home {
        std::span<std::byte> values;
        std::ptrdiff_t own_slot = -1, slot = -1;  ///< -1: none
        std::size_t units_ready = 0;
        bool done = false;
        Gather gather{};
    };
    struct Flying {
        std::size_t bucket;
        Reduction reduction;
    };

    template <class T>
    static std::span<T> as(std::span<std::byte> bytes) {
        return {reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)};
    }
    Slot make_slot(std::size_t active) {
        Slot slot;
        slot.wire = staging_memory_.template take<E>(active);
        if (how_.every)
            slot.result = staging_memory_.template take<std::byte>(
                active / static_cast<std::size_t>(comm_.size()) * size_of(how_.type));
        return slot;
    }
    /// The oldest reductions are waited for until one is free.
    std::ptrdiff_t free_rotating_slot(std::size_t unit) {
        for (;; land()) {
            for (std::size_t i = 0; i < rotating_; ++i)
                if (slots_[i].is_free) return static_cast<std::ptrdiff_t>(i);
            require(!flying_.empty(), Errc::config, "Trainer: unit ", unit,
                    " writes gradients while two other buckets are not ready, expected "
                    "ready(unit) for one of them first");
        }
    }
    void look_at(const Bucket& bucket, std::span<const E> wire) {
        const std::size_t at = first_not_finite<E>(device_, bucket, 0, wire);
        if (at < bucket.padded) first_bad_ = std::min(first_bad_, bucket.full_offset + at);
    }
    bool is_last() const { return micro_ == how_.micro_steps - 1; }
    bool adds() const { return how_.every && micro_ > 0; }

    template <class G>
    std::span<G> reduced(std::size_t b) {
        if (!adds()) return shard<G>(b);
        return as<G>(slots_[static_cast<std::size_t>(homes_[b].slot)].result)
            .first(layout_.buckets()[b].shard);
    }
    void land() {
        Flying flying = std::move(flying_.front());
        flying_.erase(flying_.begin());
        flying.reduction.wait();
        Home& home = homes_[flying.bucket];
        if (adds())
            typed([&](auto tag) {
                using G = decltype(tag);
                accumulate<G, G>(device_, reduced<G>(flying.bucket), shard<G>(flying.bucket),
                                 false);
            });
        free_slot(home);
        home.done = true;
    }
    void free_slot(Home& home) {
        slots_[static_cast<std::size_t>(home.slot)].is_free = true;
        home.slot = -1;
    }

    const Layout& layout_;
    C& comm_;
    GradientPlan how_;
    D device_;
    Arena<D> memory_, staging_memory_;
    std::vector<Slot> slots_;  ///< those that rotate, then the buckets' own
    std::size_t rotating_ = 0;
    std::vector<Home> homes_;
    std::vector<Progress> units_;  ///< in this backward pass
    std::vector<Flying> flying_;
    int micro_ = 0;
    bool watching_ = false;
    std::size_t first_bad_ = none;
};

}  // namespace zeropp
