// SPDX-License-Identifier: Apache-2.0
/// \file Where parameters live: whole on every rank, or (stage 3) as shards that are gathered
/// before use and dropped after it.
#pragma once

#include <array>
#include <span>
#include <utility>
#include <vector>

#include <zeropp/comm/concepts.hpp>
#include <zeropp/device/arena.hpp>
#include <zeropp/zero/layout.hpp>
#include <zeropp/zero/plan.hpp>
#include <zeropp/zero/stage.hpp>

namespace zeropp {

/// The bucket's first element that the rank updates.
template <Stage S>
std::size_t first_owned_by(const Bucket& bucket, int rank) {
    return S::shards_optimizer ? bucket.first_of_shard(rank) : 0;
}

template <Element E, Stage S, Communicator C, Device D>
class ParameterStore {
    using Pending = decltype(std::declval<C&>().all_gather(std::span<const std::byte>{},
                                                           std::span<std::byte>{}));

public:
    ParameterStore(const Layout& layout, C& comm, const StatePlan& plan, D device)
        : layout_{layout},
          comm_{comm},
          memory_{"parameters", plan.parameters, device},
          gathered_memory_{"gathered parameters", plan.gathered, device},
          uses_(layout.units()) {
        for (const Bucket& bucket : layout_.buckets()) {
            Home home;
            home.stored = memory_.template take<E>(
                S::shards_parameters ? bucket.shard + bucket.frozen_shard : bucket.padded);
            if constexpr (S::shards_parameters) {
                if (bucket.resident)
                    home.own_buffer = gathered_memory_.template take<E>(bucket.padded);
            } else {
                home.whole = home.stored;
            }
            homes_.push_back(std::move(home));
        }
        if constexpr (S::shards_parameters)
            for (Slot& slot : slots_)
                slot.buffer = gathered_memory_.template take<E>(plan.largest_bucket);
    }

    /// The elements of the bucket that this rank updates, when no peer reads them any more.
    std::span<E> owned(std::size_t bucket) {
        const Bucket& b = layout_.buckets()[bucket];
        homes_[bucket].wait();
        const std::span<E> stored = homes_[bucket].stored;
        if constexpr (S::shards_optimizer && !S::shards_parameters)
            return stored.subspan(first_owned_by<S>(b, comm_.rank()), b.shard);
        else
            return stored.first(S::shards_parameters ? b.shard : b.active);
    }
    /// Everything of the bucket that this rank stores, in two pieces, of which one may be empty:
    /// elements, and where in the bucket they begin.
    std::array<std::pair<std::span<E>, std::size_t>, 2> stored(std::size_t bucket) {
        const Bucket& b = layout_.buckets()[bucket];
        const std::span<E> all = homes_[bucket].stored;
        if constexpr (S::shards_parameters)
            return {{{all.first(b.shard), b.first_of_shard(comm_.rank())},
                     {all.subspan(b.shard), b.first_of_frozen_shard(comm_.rank())}}};
        else
            return {{{all, 0}, {{}, 0}}};
    }

    /// Collective in stages 1 and 2, after the update of the bucket: sends (W-1) of its shards.
    void publish(std::size_t bucket) {
        if constexpr (S::shards_optimizer && !S::shards_parameters)
            homes_[bucket].pending = comm_.all_gather(
                std::as_bytes(owned(bucket)), std::as_writable_bytes(homes_[bucket].whole.first(
                                                  layout_.buckets()[bucket].active)));
    }

    /// Drops what a pass that was not finished has left.
    void begin_pass(bool training) {
        uses_.assign(layout_.units(), 0);
        if constexpr (S::shards_parameters) {
            training_ = training;
            position_ = 0;
            if (training_ && !known_) sequence_.clear();
            for (std::size_t b = 0; b < homes_.size(); ++b) {
                drop(b);
                forget_uses(b);
            }
        }
    }
    /// What is in use already is in use by backward.
    void begin_backward() {
        if constexpr (S::shards_parameters)
            for (std::size_t b = 0; b < homes_.size(); ++b)
                if (homes_[b].in_use == 0) forget_uses(b);
    }
    void end_pass() {
        if constexpr (S::shards_parameters) {
            for (std::size_t b = 0; b < homes_.size(); ++b) drop(b);
            if (training_) known_ = true;
        }
    }

    /// Collective in stage 3, where the bucket is not here: sends (W-1) shards, frozen ones too.
    std::span<const E> use(std::size_t unit) {
        const std::size_t bucket = layout_.bucket_of(unit);
        Home& home = homes_[bucket];
        ++uses_[unit];
        if constexpr (S::shards_parameters) {
            if (home.whole.empty()) {
                follow(bucket);
                gather(bucket, true);
            }
            ++home.in_use;
            if (!home.used[unit - layout_.buckets()[bucket].first_unit]) {
                home.used[unit - layout_.buckets()[bucket].first_unit] = true;
                ++home.units_used;
            }
            home.wait();
            prefetch();
        } else {
            home.wait();
        }
        return home.whole.subspan(layout_.offset_in_bucket(unit), layout_.size_of_unit(unit));
    }

    void release(std::size_t unit) {
        require(uses_.at(unit) != 0, Errc::config, "Trainer: unit ", unit,
                " is released, expected use(unit) before");
        --uses_[unit];
        if constexpr (S::shards_parameters) {
            const std::size_t bucket = layout_.bucket_of(unit);
            Home& home = homes_[bucket];
            --home.in_use;
            if (home.in_use == 0 && !layout_.buckets()[bucket].resident &&
                home.units_used == layout_.buckets()[bucket].unit_count)
                drop(bucket);
        }
    }

    /// Waits for everything that was started.
    void settle() {
        for (Home& home : homes_) home.wait();
    }
    std::size_t bytes_used() const { return memory_.used() + gathered_memory_.used(); }
    std::size_t bytes_reserved() const { return memory_.capacity() + gathered_memory_.capacity(); }

private:
    struct Home {
        std::span<E> stored;      ///< all elements, or this rank's: active, then frozen
        std::span<E> whole;       ///< readable elements; empty while dropped
        std::span<E> own_buffer;  ///< of a resident bucket at stage 3
        Pending pending{}, pending_frozen{};
        int in_use = 0;
        std::size_t units_used = 0;
        std::vector<bool> used;

        void wait() {
            pending.wait();
            pending_frozen.wait();
        }
    };
    struct Slot {
        std::span<E> buffer;
        std::ptrdiff_t bucket = -1;
    };

    void forget_uses(std::size_t bucket) {
        homes_[bucket].used.assign(layout_.buckets()[bucket].unit_count, false);
        homes_[bucket].units_used = 0;
    }

    /// The order of gathers is recorded in the first training pass and prefetched in later ones. A
    /// pass that departs from it is recorded anew.
    void follow(std::size_t bucket) {
        if (!training_) return;
        if (!known_) {
            sequence_.push_back(bucket);
        } else if (position_ < sequence_.size() && sequence_[position_] == bucket) {
            ++position_;
        } else {
            known_ = training_ = false;
        }
    }
    void prefetch() {
        if (!training_ || !known_ || position_ == sequence_.size()) return;
        const std::size_t next = sequence_[position_];
        if (homes_[next].whole.empty() && gather(next, false)) ++position_;
    }

    bool gather(std::size_t bucket, bool needed) {
        Home& home = homes_[bucket];
        std::span<E> to = home.own_buffer;
        if (to.empty()) {
            Slot* free = nullptr;
            for (Slot& slot : slots_)
                if (slot.bucket < 0) free = &slot;
            if (free == nullptr && needed)  // a prefetched bucket that turned out not to be next
                for (Slot& slot : slots_)
                    if (homes_[static_cast<std::size_t>(slot.bucket)].in_use == 0) {
                        drop(static_cast<std::size_t>(slot.bucket));
                        free = &slot;
                        break;
                    }
            if (free == nullptr && !needed) return false;
            require(free != nullptr, Errc::config,
                    "Trainer: the model uses three units at once at stage 3, expected at most ",
                    StatePlan::rotating, " that are not resident; mark shared units resident");
            free->bucket = static_cast<std::ptrdiff_t>(bucket);
            to = free->buffer.first(layout_.buckets()[bucket].padded);
        }
        home.whole = to;
        const Bucket& of = layout_.buckets()[bucket];
        const std::span<const E> stored = home.stored;
        if (of.shard != 0)
            home.pending = comm_.all_gather(std::as_bytes(stored.first(of.shard)),
                                            std::as_writable_bytes(to.first(of.active)));
        if (of.frozen_shard != 0)
            home.pending_frozen = comm_.all_gather(std::as_bytes(stored.subspan(of.shard)),
                                                   std::as_writable_bytes(to.subspan(of.active)));
        return true;
    }
    void drop(std::size_t bucket) {
        Home& home = homes_[bucket];
        if (home.whole.empty()) return;
        home.wait();
        home.whole = {};
        home.in_use = 0;
        forget_uses(bucket);
        for (Slot& slot : slots_)
            if (slot.bucket == static_cast<std::ptrdiff_t>(bucket)) slot.bucket = -1;
    }

    const Layout& layout_;
    C& comm_;
    Arena<D> memory_, gathered_memory_;
    std::vector<Home> homes_;
    std::array<Slot, StatePlan::rotating> slots_{};
    std::vector<int> uses_;  ///< of each unit that are not released
    std::vector<std::size_t> sequence_;
    std::size_t position_ = 0;
    bool training_ = false, known_ = false;
};

}  // namespace zeropp
