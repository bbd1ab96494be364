// SPDX-License-Identifier: Apache-2.0
/// \file Stochastic gradient descent, plain and with momentum; the formulas of torch.optim.SGD.
#pragma once

#include <zeropp/optim/concepts.hpp>

namespace zeropp {

struct Sgd {
    float lr = 1e-2f;
    float weight_decay = 0;

    static constexpr std::string_view name = "sgd";
    static constexpr std::array<Slot, 0> slots{};

    struct Constants {
        float negative_lr, weight_decay;
    };
    void check() const {
        detail::require_at_least_0("Sgd", "lr", lr);
        detail::require_at_least_0("Sgd", "weight_decay", weight_decay);
    }
    Rates rates() const { return {.lr = lr}; }
    Constants constants(StepContext now) const { return {-now.rates.lr, weight_decay}; }

    ZEROPP_HD ZEROPP_INLINE static float update(const Constants& c, float p, float g,
                                                SlotValues<0>&) {
        return __builtin_fmaf(c.negative_lr, __builtin_fmaf(c.weight_decay, p, g), p);
    }
};
static_assert(Optimizer<Sgd>);

struct MomentumSgd {
    float lr = 1e-2f;
    float momentum = 0.9f;
    float weight_decay = 0;

    static constexpr std::string_view name = "momentum_sgd";
    static constexpr std::array<Slot, 1> slots{"momentum_buffer"};

    struct Constants {
        float negative_lr, momentum, weight_decay;
    };
    void check() const {
        detail::require_at_least_0("MomentumSgd", "lr", lr);
        detail::require_at_least_0("MomentumSgd", "momentum", momentum);
        detail::require_at_least_0("MomentumSgd", "weight_decay", weight_decay);
    }
    Rates rates() const { return {.lr = lr, .momentum = momentum}; }
    Constants constants(StepContext now) const {
        return {-now.rates.lr, now.rates.momentum, weight_decay};
    }

    ZEROPP_HD ZEROPP_INLINE static float update(const Constants& c, float p, float g,
                                                SlotValues<1>& s) {
        s[0] = __builtin_fmaf(c.momentum, s[0], __builtin_fmaf(c.weight_decay, p, g));
        return __builtin_fmaf(c.negative_lr, s[0], p);
    }
};
static_assert(Optimizer<MomentumSgd>);

}  // namespace zeropp
