// SPDX-License-Identifier: Apache-2.0
/// \file Cuda: one parameter group's updates, one launch for each run of elements that belong to
/// the group.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include <zeropp/device/cuda.hpp>
#include <zeropp/device/cuda/for_each.hpp>
#include <zeropp/optim/rule.hpp>
#include <zeropp/zero/cuda/update_element.hpp>
#include <zeropp/zero/host/updater.hpp>
#include <zeropp/zero/owned_piece.hpp>
#include <zeropp/zero/slots.hpp>

namespace zeropp {

namespace detail {

/// A rule that a GPU runs, whichever optimizer it is.
template <Element E>
class CudaRule : public Rule {
public:
    virtual void launch(const Cuda& device, const OwnedPiece<E, E>& piece,
                        std::span<const SlotView> slots, float scale,
                        std::span<const SlotChance> chances) const = 0;
    virtual void launch_fp32(const Cuda& device, const OwnedPiece<E, float>& piece,
                             std::span<const SlotView> slots, float scale,
                             std::span<const SlotChance> chances) const = 0;
};

template <Optimizer O, Element E>
class CudaRuleOf final : public CudaRule<E> {
    static_assert(!MeasuresTensors<O>,
                  "zeropp: an optimizer that measures whole tensors (Lamb) runs on Host only; use "
                  "an element-wise one such as AdamW on Cuda");
    static constexpr std::size_t count = O::slots.size();

public:
    explicit CudaRuleOf(const O& optimizer)
        : optimizer_{optimizer},
          constants_{optimizer.constants({.index = 1, .rates = optimizer.rates()})} {}

    std::string_view name() const override { return O::name; }
    std::span<const Slot> slots() const override { return O::slots; }
    Rates rates() const override { return optimizer_.rates(); }
    void begin(StepContext now) override { constants_ = optimizer_.constants(now); }
    void update(const Tensor2d&, const TensorPiece&) const override {
        fail(Errc::config, "CudaRule: a piece of the host's memory, expected the GPU's");
    }
    void launch(const Cuda& device, const OwnedPiece<E, E>& piece, std::span<const SlotView> slots,
                float scale, std::span<const SlotChance> chances) const override {
        run(device, piece, slots, scale, chances);
    }
    void launch_fp32(const Cuda& device, const OwnedPiece<E, float>& piece,
                     std::span<const SlotView> slots, float scale,
                     std::span<const SlotChance> chances) const override {
        run(device, piece, slots, scale, chances);
    }

private:
    using Constants = decltype(std::declval<const O&>().constants(StepContext{}));

    template <Element G>
    void run(const Cuda& device, const OwnedPiece<E, G>& piece, std::span<const SlotView> slots,
             float scale, std::span<const SlotChance> chances) const {
        bool all_bf16 = count != 0;
        for (const SlotView& slot : slots)
            all_bf16 = all_bf16 && slot.format() == SlotFormat::bfloat16;
        if (all_bf16)
            start<WithSlots<O, SlotFormat::bfloat16>>(device, piece, slots, scale, chances);
        else
            start<O>(device, piece, slots, scale, chances);
    }
    template <Optimizer As, Element G>
    void start(const Cuda& device, const OwnedPiece<E, G>& piece, std::span<const SlotView> slots,
               float scale, std::span<const SlotChance> chances) const {
        UpdateElement<As, E, G, Constants> body{
            constants_, scale, piece.parameters, piece.masters, piece.gradients,
            {},         {},    piece.in_bucket};
        if constexpr (count > 0)
            for (std::size_t s = 0; s < count; ++s) {
                body.slots[s] = slots[s].place(piece.at);
                body.chances[s] = chances[s];
            }
        for_each_element(device, piece.count, body);
    }

    O optimizer_;
    Constants constants_;
};

}  // namespace detail

template <Element E>
class Updater<E, Cuda> {
public:
    static constexpr bool by_tensor = false;

    Updater(const Cuda& device, std::unique_ptr<detail::CudaRule<E>> rule)
        : device_{device}, rule_{std::move(rule)} {}

    static void require_formats(std::span<const Slot> slots) {
        for (const Slot& slot : slots)
            require(slot.format != SlotFormat::block8, Errc::config,
                    "OptimizerStates: 8 bits on a GPU, expected fp32 or bf16");
    }

    Rule& rule() noexcept { return *rule_; }
    const Rule& rule() const noexcept { return *rule_; }

    template <Element G>
    void update(const OwnedPiece<E, G>& piece, std::span<const SlotView> slots, float scale,
                std::span<const SlotChance> chances) const {
        if constexpr (std::same_as<E, G>)
            rule_->launch(device_, piece, slots, scale, chances);
        else
            rule_->launch_fp32(device_, piece, slots, scale, chances);
    }

private:
    Cuda device_;
    std::unique_ptr<detail::CudaRule<E>> rule_;
};

template <Element E, Optimizer O>
Updater<E, Cuda> make_updater(const Cuda& device, const O& optimizer, const GroupRates& group) {
    return {device,
            std::make_unique<detail::CudaRuleOf<O, E>>(detail::with_rates(optimizer, group))};
}

}  // namespace zeropp
