// SPDX-License-Identifier: Apache-2.0
/// \file Stochastic gradient descent, plain and with momentum; the formulas of torch.optim.SGD.
#pragma once

#include <zeropp/optim/concepts.hpp>

namespace zeropp {

struct Sgd {
    float lr = 1e-2f;
    float weight_decay = 0;
    bool maximize = false;

    static constexpr std::string_view name = "sgd";
    static constexpr std::array<Slot, 0> slots{};

    struct Constants {
        float negative_lr, weight_decay;
        float sign;  ///< of the gradient: -1 to maximize
    };
    void check() const {
        detail::require_at_least_0("Sgd", "lr", lr);
        detail::require_at_least_0("Sgd", "weight_decay", weight_decay);
    }
    Rates rates() const { return {.lr = lr}; }
    Constants constants(StepContext now) const {
        return {-now.rates.lr, weight_decay, maximize ? -1.0f : 1.0f};
    }

    ZEROPP_HD ZEROPP_INLINE static float update(const Constants& c, float p, float g,
                                                SlotValues<0>&) {
        return __builtin_fmaf(c.negative_lr, __builtin_fmaf(c.weight_decay, p, c.sign * g), p);
    }
};
static_assert(Optimizer<Sgd>);

struct MomentumSgd {
    float lr = 1e-2f;
    float momentum = 0.9f;
    float dampening = 0;    ///< of gradients after the first, which the buffer takes whole
    bool nesterov = false;  ///< goes momentum * buffer beyond the gradient
    float weight_decay = 0;
    bool maximize = false;

    static constexpr std::string_view name = "momentum_sgd";
    static constexpr std::array<Slot, 1> slots{"momentum_buffer"};

    struct Constants {
        float negative_lr, momentum, weight_decay;
        float sign;                        ///< of the gradient: -1 to maximize
        float gradient_weight;             ///< in the buffer
        float buffer_part, gradient_part;  ///< of the direction
    };
    void check() const {
        detail::require_at_least_0("MomentumSgd", "lr", lr);
        detail::require_at_least_0("MomentumSgd", "momentum", momentum);
        detail::require_at_least_0("MomentumSgd", "weight_decay", weight_decay);
        require(dampening >= 0 && dampening <= 1, Errc::config, "MomentumSgd: dampening is ",
                dampening, ", expected 0 to 1");
        require(!nesterov || (momentum > 0 && dampening == 0), Errc::config,
                "MomentumSgd: nesterov is on, with momentum ", momentum, " and dampening ",
                dampening, ", expected momentum above 0 and no dampening");
    }
    Rates rates() const { return {.lr = lr, .momentum = momentum}; }
    Constants constants(StepContext now) const {
        const float factor = now.rates.momentum;
        return {-now.rates.lr,
                factor,
                weight_decay,
                maximize ? -1.0f : 1.0f,
                now.index == 1 || factor == 0 ? 1.0f : 1.0f - dampening,
                nesterov ? factor : 1.0f,
                nesterov ? 1.0f : 0.0f};
    }

    ZEROPP_HD ZEROPP_INLINE static float update(const Constants& c, float p, float g,
                                                SlotValues<1>& s) {
        g = __builtin_fmaf(c.weight_decay, p, c.sign * g);
        s[0] = __builtin_fmaf(c.momentum, s[0], c.gradient_weight * g);
        return __builtin_fmaf(c.negative_lr,
                              __builtin_fmaf(c.buffer_part, s[0], c.gradient_part * g), p);
    }
};
static_assert(Optimizer<MomentumSgd>);

}  // namespace zeropp
