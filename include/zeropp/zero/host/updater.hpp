// SPDX-License-Identifier: Apache-2.0
/// \file Host: one parameter group's updates. Elements pass through fp32 in blocks that stay in
/// the first cache; the rule sees nothing else.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#include <zeropp/core/master_split.hpp>
#include <zeropp/device/for_each.hpp>
#include <zeropp/optim/rule.hpp>
#include <zeropp/zero/element.hpp>
#include <zeropp/zero/owned_piece.hpp>
#include <zeropp/zero/slots.hpp>

namespace zeropp {

/// A group's optimizer on a device.
template <Element E, Device D>
class Updater;

template <Element E>
class Updater<E, Host> {
    static constexpr std::size_t block = 512;
    static_assert(block % slot_block == 0);

public:
    static constexpr bool by_tensor = true;

    explicit Updater(std::unique_ptr<Rule> rule) : rule_{std::move(rule)} {}

    /// Before an engine allocates: slots in a format that the device's updates cannot read are
    /// refused. Here they read all.
    static void require_formats(std::span<const Slot>) {}

    Rule& rule() noexcept { return *rule_; }
    const Rule& rule() const noexcept { return *rule_; }

    template <Element G>
    void measure(std::size_t round, const Tensor2d& tensor, const OwnedPiece<E, G>& piece,
                 std::span<const SlotView> slots, float scale, std::span<double> sums) const {
        in_blocks(piece, slots, scale, [&](const TensorPiece& values, std::size_t) {
            rule_->measure(round, tensor, values, sums);
        });
    }
    /// `chances`: one a slot.
    template <Element G>
    void update(const Tensor2d& tensor, const OwnedPiece<E, G>& piece,
                std::span<const SlotView> slots, float scale,
                std::span<const SlotChance> chances) const {
        in_blocks(piece, slots, scale, [&](const TensorPiece& values, std::size_t first) {
            rule_->update(tensor, values);
            if constexpr (!std::same_as<E, float>)
                for_each_element(Host{}, values.count,
                                 SplitElement<E>{values.parameters, piece.parameters + first,
                                                 piece.masters + first});
            for (std::size_t s = 0; s < slots.size(); ++s)
                slots[s].write(piece.at + first, values.count, values.slots[s], chances[s],
                               piece.in_bucket + first);
        });
    }

private:
    template <class First, class Second>
    struct Both {
        First one;
        Second other;
        ZEROPP_INLINE void operator()(std::size_t i) const {
            one(i);
            other(i);
        }
    };
    /// Calls visit(values, first) for blocks of the piece, the elements `first` on of it.
    template <Element G, class Visit>
    void in_blocks(const OwnedPiece<E, G>& piece, std::span<const SlotView> slots, float scale,
                   Visit visit) const {
        alignas(64) float parameters[block], gradients[block];
        alignas(64) float unpacked[TensorPiece::most_slots][block];
        for (std::size_t first = 0; first < piece.count; first += block) {
            const std::size_t count = std::min(block, piece.count - first);
            TensorPiece values{.first = piece.in_tensor + first, .count = count};
            const ScaleElement<G> scaled{piece.gradients + first, scale, gradients};
            if constexpr (std::same_as<E, float>) {
                values.parameters = piece.parameters + first;
                for_each_element(Host{}, count, scaled);
            } else {
                values.parameters = parameters;
                const JoinElement<E> joined{piece.parameters + first, piece.masters + first,
                                            parameters};
                for_each_element(Host{}, count,
                                 Both<JoinElement<E>, ScaleElement<G>>{joined, scaled});
            }
            values.gradients = gradients;
            for (std::size_t s = 0; s < slots.size(); ++s)
                values.slots[s] = slots[s].read(piece.at + first, count, unpacked[s]);
            visit(values, first);
        }
    }

    std::unique_ptr<Rule> rule_;
};

template <Element E, TrainerOptimizer O>
Updater<E, Host> make_updater(Host, const O& optimizer, const GroupRates& group) {
    return Updater<E, Host>{make_rule(optimizer, group)};
}

}  // namespace zeropp
