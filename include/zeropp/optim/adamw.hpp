// SPDX-License-Identifier: Apache-2.0
/// \file AdamW: Loshchilov & Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, algorithm
/// 2; Adam (L2): Kingma & Ba, "Adam", ICLR 2015, algorithm 1. With bias correction, as in PyTorch.
#pragma once

#include <cmath>

#include <zeropp/core/square_root.hpp>
#include <zeropp/optim/concepts.hpp>

namespace zeropp {

namespace detail {

/// Computed once a step in double, so that beta^step does not lose its digits.
struct AdamConstants {
    float decay;  ///< 1 - lr * weight_decay: decoupled, multiplies the parameter
    float l2;     ///< weight_decay as part of the gradient
    float beta2;
    float one_minus_beta1, one_minus_beta2;
    float inverse_correction2;  ///< 1 / sqrt(1 - beta2^step)
    float eps;
    float negative_step;  ///< -lr / (1 - beta1^step)
};

inline AdamConstants adam_constants(StepContext now, float beta1, double beta2, float eps,
                                    float decoupled, float l2) {
    const auto step = static_cast<double>(now.index);
    const double lr = now.rates.lr;
    return {static_cast<float>(1.0 - lr * decoupled),
            l2,
            static_cast<float>(beta2),
            static_cast<float>(1.0 - static_cast<double>(beta1)),
            static_cast<float>(1.0 - beta2),
            static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(beta2, step))),
            eps,
            static_cast<float>(-lr / (1.0 - std::pow(static_cast<double>(beta1), step)))};
}

ZEROPP_HD ZEROPP_INLINE inline float adam_update(const AdamConstants& c, float p, float g,
                                                 SlotValues<2>& s) {
    g = __builtin_fmaf(c.l2, p, g);
    s[0] = __builtin_fmaf(c.one_minus_beta1, g - s[0], s[0]);
    s[1] = __builtin_fmaf(c.one_minus_beta2, g * g, c.beta2 * s[1]);
    const float denominator = __builtin_fmaf(square_root(s[1]), c.inverse_correction2, c.eps);
    return __builtin_fmaf(c.negative_step, s[0] / denominator, p * c.decay);
}

inline void check_adam(std::string_view name, const auto& adam) {
    require_at_least_0(name, "lr", adam.lr);
    require_below_1(name, "beta1", adam.beta1);
    require_below_1(name, "beta2", adam.beta2);
    require_at_least_0(name, "eps", adam.eps);
    require_at_least_0(name, "weight_decay", adam.weight_decay);
}

}  // namespace detail

struct AdamW {
    float lr = 1e-3f;
    float beta1 = 0.9f;
    double beta2 = 0.999;  ///< 1 - beta2 is small: a float would give it five digits
    float eps = 1e-8f;
    float weight_decay = 0.01f;

    static constexpr std::string_view name = "adamw";
    static constexpr std::array<Slot, 2> slots{"exp_avg",
                                               Slot{"exp_avg_sq", Slot::Values::never_negative}};

    void check() const { detail::check_adam("AdamW", *this); }
    Rates rates() const { return {.lr = lr, .momentum = beta1}; }
    detail::AdamConstants constants(StepContext now) const {
        return detail::adam_constants(now, now.rates.momentum, beta2, eps, weight_decay, 0);
    }
    ZEROPP_HD ZEROPP_INLINE static float update(const detail::AdamConstants& c, float p, float g,
                                                SlotValues<2>& s) {
        return detail::adam_update(c, p, g, s);
    }
};
static_assert(Optimizer<AdamW>);

struct Adam {
    float lr = 1e-3f;
    float beta1 = 0.9f;
    double beta2 = 0.999;  ///< 1 - beta2 is small: a float would give it five digits
    float eps = 1e-8f;
    float weight_decay = 0;  ///< L2: added to the gradient

    static constexpr std::string_view name = "adam";
    static constexpr std::array<Slot, 2> slots = AdamW::slots;

    void check() const { detail::check_adam("Adam", *this); }
    Rates rates() const { return {.lr = lr, .momentum = beta1}; }
    detail::AdamConstants constants(StepContext now) const {
        return detail::adam_constants(now, now.rates.momentum, beta2, eps, 0, weight_decay);
    }
    ZEROPP_HD ZEROPP_INLINE static float update(const detail::AdamConstants& c, float p, float g,
                                                SlotValues<2>& s) {
        return detail::adam_update(c, p, g, s);
    }
};
static_assert(Optimizer<Adam>);

}  // namespace zeropp
