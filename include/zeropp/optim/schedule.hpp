// SPDX-License-Identifier: Apache-2.0
/// \file Learning-rate schedules: aggregates that map (step, base rates) to the step's rates. The
/// first optimizer step is 1. WarmupCosine, InverseSquareRoot that rises, and Polynomial give at
/// step n what transformers' give at current_step n: its first step, at rate 0, is left out.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>

#include <zeropp/core/precision.hpp>
#include <zeropp/optim/concepts.hpp>
#include <zeropp/optim/deepspeed_schedules.hpp>

namespace zeropp {

namespace detail {

inline void check_decay(std::string_view name, const auto& schedule) {
    require_at_least_0(name, "warmup", double(schedule.warmup));
    require(schedule.total >= 1, Errc::config, name, ": total is ", schedule.total,
            ", expected at least 1: the last step of the decay");
}

}  // namespace detail

/// Linear from 0 to the optimizer's lr over `warmup` steps, then constant.
struct Constant {
    std::int64_t warmup = 0;

    void check() const { detail::require_at_least_0("Constant", "warmup", double(warmup)); }
    Rates operator()(std::int64_t step, Rates base) const {
        if (step < warmup)
            base.lr = static_cast<float>(base.lr *
                                         (static_cast<double>(step) / static_cast<double>(warmup)));
        return base;
    }
};

/// Linear from 0 to the optimizer's lr over `warmup` steps, then linear to 0 after step `total`.
struct WarmupLinear {
    std::int64_t warmup = 0;
    std::int64_t total = 1;

    void check() const { detail::check_decay("WarmupLinear", *this); }
    Rates operator()(std::int64_t step, Rates base) const {
        const auto part = [](std::int64_t some, std::int64_t all) {
            return std::clamp(
                static_cast<double>(some) / static_cast<double>(std::max<std::int64_t>(1, all)),
                0.0, 1.0);
        };
        const double factor =
            step <= warmup ? part(step, warmup) : part(total + 1 - step, total + 1 - warmup);
        base.lr = static_cast<float>(base.lr * factor);
        return base;
    }
};

/// Linear from 0 to the optimizer's lr over `warmup` steps, then half a cosine down to
/// `floor` * lr at step `total`.
struct WarmupCosine {
    std::int64_t warmup = 0;
    std::int64_t total = 1;
    float floor = 0;

    void check() const {
        detail::check_decay("WarmupCosine", *this);
        detail::require_at_least_0("WarmupCosine", "floor", floor);
    }
    Rates operator()(std::int64_t step, Rates base) const {
        double factor = 1;
        if (step <= warmup) {
            factor = static_cast<double>(step) / static_cast<double>(warmup);
        } else {
            const auto span = static_cast<double>(std::max<std::int64_t>(1, total - warmup));
            const double t = std::min(1.0, static_cast<double>(step - warmup) / span);
            factor = std::fma(0.5 * (1.0 - floor), 1.0 + std::cos(t * std::numbers::pi),
                              static_cast<double>(floor));
        }
        base.lr = static_cast<float>(base.lr * factor);
        return base;
    }
};

/// T5's (Raffel et al., "Exploring the limits of transfer learning", JMLR 2020, section 3.1.2):
/// 1 / sqrt(max(step, warmup)), here in units of its greatest value, which is then the optimizer's
/// lr: lr * sqrt(warmup / max(step, warmup)). T5's own is lr = 0.01 with `warmup` 10,000. With
/// `rise` linear from 0 over the `warmup` steps, as Vaswani et al., 2017, equation 3.
struct InverseSquareRoot {
    std::int64_t warmup = 10'000;
    bool rise = false;

    void check() const {
        detail::require_at_least_1("InverseSquareRoot", "warmup", warmup, "the step it falls from");
    }
    Rates operator()(std::int64_t step, Rates base) const {
        const double part = static_cast<double>(step) / static_cast<double>(warmup);
        const double factor = part > 1 ? 1 / std::sqrt(part) : rise ? part : 1;
        base.lr = static_cast<float>(base.lr * factor);
        return base;
    }
};

/// Linear from 0 to the optimizer's lr over `warmup` steps, then
/// end_lr + (lr - end_lr) * (1 - t)^power, t from 0 to 1 at step `total`, then `end_lr`.
struct Polynomial {
    std::int64_t warmup = 0;
    std::int64_t total = 1;
    float end_lr = 1e-7f;
    float power = 1;

    void check() const {
        detail::check_decay("Polynomial", *this);
        detail::require_at_least_0("Polynomial", "end_lr", end_lr);
        detail::require_at_least_0("Polynomial", "power", power);
    }
    Rates operator()(std::int64_t step, Rates base) const {
        if (step <= warmup) {
            base.lr = static_cast<float>(base.lr *
                                         (static_cast<double>(step) / static_cast<double>(warmup)));
        } else if (step >= total) {
            base.lr = end_lr;
        } else {
            const double left =
                static_cast<double>(total - step) / static_cast<double>(total - warmup);
            base.lr = detail::between(end_lr, base.lr, std::pow(left, power));
        }
        return base;
    }
};
static_assert(Schedule<Constant> && Schedule<WarmupLinear> && Schedule<WarmupCosine> &&
              Schedule<InverseSquareRoot> && Schedule<Polynomial>);

/// A schedule as a value: which one it is does not change the trainer's type.
using AnySchedule = std::function<Rates(std::int64_t, Rates)>;

/// What the schedule makes of `base` in step `index`; refused where it means nothing.
inline Rates checked_rates(const AnySchedule& schedule, std::int64_t index, Rates base) {
    const Rates rates = schedule(index, base);
    const auto means_something = [](float rate) { return is_finite(rate) && rate >= 0; };
    require(means_something(rates.lr) && means_something(rates.momentum), Errc::config,
            "schedule: the rates of step ", index, " are lr ", rates.lr, " and momentum ",
            rates.momentum, ", expected finite numbers of 0 or more");
    return rates;
}

}  // namespace zeropp
