// SPDX-License-Identifier: Apache-2.0
/// \file Adagrad: Duchi, Hazan & Singer, "Adaptive subgradient methods", JMLR 2011, figure 1, the
/// diagonal form; the formulas of torch.optim.Adagrad.
#pragma once

#include <zeropp/core/square_root.hpp>
#include <zeropp/optim/concepts.hpp>

namespace zeropp {

struct Adagrad {
    float lr = 1e-2f;
    float lr_decay = 0;  ///< step n runs at lr / (1 + (n - 1) * lr_decay)
    float eps = 1e-10f;
    float weight_decay = 0;  ///< L2: added to the gradient
    bool maximize = false;

    static constexpr std::string_view name = "adagrad";
    static constexpr std::array<Slot, 1> slots{Slot{"sum", Slot::Values::never_negative}};

    struct Constants {
        float negative_lr, weight_decay, eps;
        float sign;  ///< of the gradient: -1 to maximize
    };
    void check() const {
        detail::require_at_least_0("Adagrad", "lr", lr);
        detail::require_at_least_0("Adagrad", "lr_decay", lr_decay);
        detail::require_at_least_0("Adagrad", "eps", eps);
        detail::require_at_least_0("Adagrad", "weight_decay", weight_decay);
    }
    Rates rates() const { return {.lr = lr}; }
    Constants constants(StepContext now) const {
        const double slowed = 1.0 + static_cast<double>(now.index - 1) * lr_decay;
        return {static_cast<float>(-now.rates.lr / slowed), weight_decay, eps,
                maximize ? -1.0f : 1.0f};
    }

    ZEROPP_HD ZEROPP_INLINE static float update(const Constants& c, float p, float g,
                                                SlotValues<1>& s) {
        g = __builtin_fmaf(c.weight_decay, p, c.sign * g);
        s[0] = __builtin_fmaf(g, g, s[0]);
        return __builtin_fmaf(c.negative_lr, g / (square_root(s[0]) + c.eps), p);
    }
};
static_assert(Optimizer<Adagrad>);

}  // namespace zeropp
