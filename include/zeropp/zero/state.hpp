// SPDX-License-Identifier: Apache-2.0
/// \file What the optimizer keeps of the elements this rank updates: their master and slots.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include <zeropp/device/arena.hpp>
#include <zeropp/optim/rule.hpp>
#include <zeropp/zero/layout.hpp>
#include <zeropp/zero/owned_piece.hpp>
#include <zeropp/zero/plan.hpp>
#include <zeropp/zero/update.hpp>
#include <zeropp/zero/whole_tensors.hpp>

namespace zeropp {

template <Element E, Device D>
class OptimizerState {
    using Part = typename Master<E>::Part;
    static constexpr bool keeps_master = Master<E>::keeps;

public:
    /// `updaters`: of each parameter group. Borrows the layout.
    OptimizerState(const Layout& layout, const std::vector<Unit>& units,
                   std::vector<Updater<E, D>> updaters, const OptimizerPlan& optimizer,
                   const StatePlan& plan, bool sharded, D device)
        : layout_{layout},
          device_{device},
          updaters_{std::move(updaters)},
          slots_{optimizer.slots},
          master_memory_{std::string{plan.master.name}, plan.master.bytes, device},
          tensors_{layout, units, rule(), plan.tensors} {
        for (const MemoryPlan::Row& row : plan.slots)
            slot_memory_.emplace_back(row.name, row.bytes, device);
        for (const Bucket& bucket : layout.buckets()) {
            Home home;
            if (bucket.trainable) {
                home.owned = sharded ? bucket.shard : bucket.active;
                if (keeps_master) home.master = master_memory_.template take<Part>(home.owned);
                for (std::size_t s = 0; s < slots_.size(); ++s)
                    home.slots.push_back(
                        slot_memory_[s]
                            .template take<std::byte>(slot_bytes(slots_[s].format, home.owned))
                            .data());
            }
            homes_.push_back(std::move(home));
        }
        places_.reserve(slots_.size());
        chances_.reserve(slots_.size());
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

    std::size_t groups() const noexcept { return updaters_.size(); }
    /// Of group 0, which all share but for their rates.
    const Rule& rule() const { return updaters_.front().rule(); }
    Rule& rule(std::size_t group) { return updaters_[group].rule(); }

    /// The sums of a round over this rank's elements, tensor by tensor, to `sums`; how many.
    /// `first`, `count`: what of the bucket the pieces lie in; `parameters` and `gradients` begin
    /// with the first element that this rank owns, and with `first`.
    template <Element G>
    void measure(std::size_t round, std::size_t bucket, std::size_t owned_first, std::size_t first,
                 float scale, std::span<E> parameters, std::span<const G> gradients,
                 std::span<double> sums) {
        prepare(bucket, 0);
        if constexpr (Updater<E, D>::by_tensor)
            for_each_trainable_segment(
                layout_.buckets()[bucket], first, first + gradients.size(),
                [&](const Segment& segment, std::size_t begin, std::size_t count) {
                    OwnedPiece<E, G> piece =
                        piece_of<G>(bucket, segment, begin, count, owned_first, parameters);
                    piece.gradients = gradients.data() + (begin - first);
                    const Updater<E, D>& updater =
                        updaters_[static_cast<std::size_t>(segment.group)];
                    updater.measure(round, tensors_[segment.tensor], piece, places_, scale,
                                    tensors_.part(round, segment.tensor, sums));
                });
    }
    std::size_t sums_of(std::size_t round) const { return tensors_.sums_of(round); }
    /// `sums_of_rank(r)`: what rank r has measured.
    template <class SumsOfRank>
    void combine(std::size_t round, int ranks, SumsOfRank sums_of_rank) {
        for (const Bucket& bucket : layout_.buckets())
            for (const Segment& segment : bucket.segments) {
                if (!segment.trainable) continue;
                tensors_.total(round, segment.tensor, ranks, sums_of_rank);
                updaters_[static_cast<std::size_t>(segment.group)].rule().combine(
                    round, tensors_[segment.tensor]);
            }
    }

    /// Updates elements [first, first + parameters.size()) of the bucket, all that this rank owns,
    /// in step `index`.
    template <Element G>
    void update(std::size_t bucket, std::size_t first, std::int64_t index, float scale,
                std::span<E> parameters, std::span<const G> gradients) {
        prepare(bucket, index);
        const Bucket& of = layout_.buckets()[bucket];
        const std::size_t last = first + parameters.size();
        if constexpr (Updater<E, D>::by_tensor)
            for_each_trainable_segment(
                of, first, last, [&](const Segment& segment, std::size_t begin, std::size_t count) {
                    OwnedPiece<E, G> piece =
                        piece_of<G>(bucket, segment, begin, count, first, parameters);
                    piece.gradients = gradients.data() + piece.at;
                    updaters_[static_cast<std::size_t>(segment.group)].update(
                        tensors_[segment.tensor], piece, places_, scale, chances_);
                });
        else
            for_each_trainable_run(
                of, first, last, [&](std::size_t begin, std::size_t count, int group) {
                    OwnedPiece<E, G> piece =
                        piece_of<G>(bucket, Segment{}, begin, count, first, parameters);
                    piece.gradients = gradients.data() + piece.at;
                    updaters_[static_cast<std::size_t>(group)].update(piece, places_, scale,
                                                                      chances_);
                });
    }

    std::size_t bytes_used() const {
        std::size_t bytes = master_memory_.used() + tensors_.bytes_used();
        for (const auto& slot : slot_memory_) bytes += slot.used();
        return bytes;
    }
    std::size_t bytes_reserved() const {
        std::size_t bytes = master_memory_.capacity() + tensors_.bytes_reserved();
        for (const auto& slot : slot_memory_) bytes += slot.capacity();
        return bytes;
    }

private:
    struct Home {
        std::size_t owned = 0;
        std::span<Part> master;
        std::vector<std::byte*> slots;
    };

    /// Slots of the bucket, and the chances of the step.
    void prepare(std::size_t bucket, std::int64_t index) {
        places_.clear();
        chances_.clear();
        for (std::size_t s = 0; s < slots_.size(); ++s) {
            places_.emplace_back(slots_[s], homes_[bucket].slots[s], homes_[bucket].owned);
            chances_.emplace_back(index, bucket, s);
        }
    }
    template <Element G>
    OwnedPiece<E, G> piece_of(std::size_t bucket, const Segment& segment, std::size_t begin,
                              std::size_t count, std::size_t owned_first, std::span<E> parameters) {
        const std::size_t at = begin - owned_first;
        return {.at = at,
                .count = count,
                .in_tensor = begin - segment.first,
                .in_bucket = begin,
                .parameters = parameters.data() + at,
                .masters = keeps_master ? homes_[bucket].master.data() + at : nullptr};
    }

    const Layout& layout_;
    D device_;
    std::vector<Updater<E, D>> updaters_;
    std::vector<Slot> slots_;
    Arena<D> master_memory_;
    std::vector<Arena<D>> slot_memory_;
    WholeTensors tensors_;
    std::vector<Home> homes_;
    std::vector<SlotView> places_;
    std::vector<SlotChance> chances_;
};

}  // namespace zeropp
