// SPDX-License-Identifier: Apache-2.0
/// \file Lion: Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023,
/// algorithm 2, with DeepSpeed's defaults. Half of Adam's memory.
#pragma once

#include <zeropp/optim/concepts.hpp>

namespace zeropp {

/// Every element moves by lr, in the direction of a mean of momentum and gradient. Where that is 0
/// an element stays, as in the paper; DeepSpeed's moves by lr, up on a GPU and by the zero's sign
/// bit on a CPU.
struct Lion {
    float lr = 1e-3f;
    float beta1 = 0.9f;      ///< of the direction
    double beta2 = 0.999;    ///< of the momentum that is kept; 0.99 in the paper
    float weight_decay = 0;  ///< decoupled, as AdamW's

    static constexpr std::string_view name = "lion";
    static constexpr std::array<Slot, 1> slots{"exp_avg"};

    struct Constants {
        float decay;  ///< 1 - lr * weight_decay
        float lr, beta1, one_minus_beta1, beta2, one_minus_beta2;
    };
    void check() const {
        detail::require_at_least_0("Lion", "lr", lr);
        detail::require_below_1("Lion", "beta1", beta1);
        detail::require_below_1("Lion", "beta2", beta2);
        detail::require_at_least_0("Lion", "weight_decay", weight_decay);
    }
    Rates rates() const { return {.lr = lr, .momentum = beta1}; }
    Constants constants(StepContext now) const {
        const double rate = now.rates.lr, first = now.rates.momentum;
        return {static_cast<float>(1.0 - rate * static_cast<double>(weight_decay)),
                now.rates.lr,
                now.rates.momentum,
                static_cast<float>(1.0 - first),
                static_cast<float>(beta2),
                static_cast<float>(1.0 - beta2)};
    }

    ZEROPP_HD ZEROPP_INLINE static float update(const Constants& c, float p, float g,
                                                SlotValues<1>& s) {
        const float direction = __builtin_fmaf(c.beta1, s[0], c.one_minus_beta1 * g);
        const float up = direction > 0 ? c.lr : 0.0f, down = direction < 0 ? c.lr : 0.0f;
        s[0] = __builtin_fmaf(c.beta2, s[0], c.one_minus_beta2 * g);
        return __builtin_fmaf(p, c.decay, down - up);
    }
};
static_assert(Optimizer<Lion>);

}  // namespace zeropp
