// SPDX-License-Identifier: Apache-2.0
/// \file LAMB: You et al., "Large batch optimization for deep learning: training BERT in 76
/// minutes", ICLR 2020, algorithm 2, in the form of DeepSpeed's FusedLamb: the bias correction is
/// part of the rate, not of the direction.
#pragma once

#include <algorithm>
#include <cmath>

#include <zeropp/core/square_root.hpp>
#include <zeropp/optim/concepts.hpp>

namespace zeropp {

/// A tensor moves by lr * trust * u: u = m / (sqrt(v) + eps) + weight_decay * p, and trust = |p| /
/// |u| of the whole tensor, within [min_coeff, max_coeff]; 1 where either norm is 0.
struct Lamb {
    float lr = 1e-3f;
    float beta1 = 0.9f;
    double beta2 = 0.999;
    float eps = 1e-8f;
    float weight_decay = 0;
    float max_coeff = 10;
    float min_coeff = 0.01f;
    bool bias_correction = true;
    bool eps_inside_sqrt = false;  ///< m / sqrt(v + eps)

    static constexpr std::string_view name = "lamb";
    static constexpr std::array<Slot, 2> slots{"exp_avg",
                                               Slot{"exp_avg_sq", Slot::Values::never_negative}};
    static constexpr std::size_t statistics = 2;

    struct Constants {
        float beta2, one_minus_beta1, one_minus_beta2, weight_decay;
        float eps_inside, eps_outside;
        float min_coeff, max_coeff;
        float negative_step;
    };
    void check() const {
        detail::require_at_least_0("Lamb", "lr", lr);
        detail::require_below_1("Lamb", "beta1", beta1);
        detail::require_below_1("Lamb", "beta2", beta2);
        detail::require_at_least_0("Lamb", "eps", eps);
        detail::require_at_least_0("Lamb", "weight_decay", weight_decay);
        detail::require_at_least_0("Lamb", "min_coeff", min_coeff);
        require(max_coeff >= min_coeff, Errc::config, "Lamb: max_coeff is ", max_coeff,
                ", expected at least min_coeff, which is ", min_coeff);
    }
    Rates rates() const { return {.lr = lr, .momentum = beta1}; }
    Constants constants(StepContext now) const {
        const double first = now.rates.momentum, step = static_cast<double>(now.index);
        double rate = now.rates.lr;
        if (bias_correction)
            rate *= std::sqrt(1.0 - std::pow(beta2, step)) / (1.0 - std::pow(first, step));
        return {static_cast<float>(beta2),
                static_cast<float>(1.0 - first),
                static_cast<float>(1.0 - beta2),
                weight_decay,
                eps_inside_sqrt ? eps : 0.0f,
                eps_inside_sqrt ? 0.0f : eps,
                min_coeff,
                max_coeff,
                static_cast<float>(-rate)};
    }

    /// The squares whose sums are |p|^2 and |u|^2.
    ZEROPP_HD ZEROPP_INLINE static void measure(const Constants& c, float p, float g,
                                                const SlotValues<2>& s, Few<float, 2>& terms) {
        SlotValues<2> next = s;
        const float u = direction(c, p, g, next);
        terms[0] = p * p;
        terms[1] = u * u;
    }
    static Constants with_sums(Constants c, std::span<const double, 2> sums) {
        double trust = 1;
        if (sums[0] > 0 && sums[1] > 0)
            trust = std::clamp(std::sqrt(sums[0] / sums[1]), static_cast<double>(c.min_coeff),
                               static_cast<double>(c.max_coeff));
        c.negative_step = static_cast<float>(c.negative_step * trust);
        return c;
    }
    ZEROPP_HD ZEROPP_INLINE static float update(const Constants& c, float p, float g,
                                                SlotValues<2>& s) {
        return __builtin_fmaf(c.negative_step, direction(c, p, g, s), p);
    }

private:
    ZEROPP_HD ZEROPP_INLINE static float direction(const Constants& c, float p, float g,
                                                   SlotValues<2>& s) {
        s[0] = __builtin_fmaf(c.one_minus_beta1, g - s[0], s[0]);
        s[1] = __builtin_fmaf(c.one_minus_beta2, g * g, c.beta2 * s[1]);
        return __builtin_fmaf(c.weight_decay, p,
                              s[0] / (square_root(s[1] + c.eps_inside) + c.eps_outside));
    }
};
static_assert(MeasuresTensors<Lamb>);

}  // namespace zeropp
