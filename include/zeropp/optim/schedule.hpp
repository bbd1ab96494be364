// SPDX-License-Identifier: Apache-2.0
/// \file Learning-rate schedules: aggregates that map (step, base rates) to the step's rates. The
/// first optimizer step is 1.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>

#include <zeropp/optim/concepts.hpp>

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

/// DeepSpeed's WarmupLR: from `min_lr` to `max_lr` over `steps`, then constant; the optimizer's own
/// lr plays no part. As there, steps 1 and 2 both run at `min_lr` (its scheduler starts after the
/// first step), and `steps` below 2 count as 2.
struct WarmupLR {
    enum class Shape { log, linear };

    float min_lr = 0;
    float max_lr = 1e-3f;
    std::int64_t steps = 1000;
    Shape shape = Shape::log;

    void check() const {
        detail::require_at_least_0("WarmupLR", "min_lr", min_lr);
        detail::require_at_least_0("WarmupLR", "max_lr", max_lr);
        detail::require_at_least_0("WarmupLR", "steps", double(steps));
    }
    Rates operator()(std::int64_t step, Rates base) const {
        const std::int64_t count = std::max<std::int64_t>(2, steps), done = step - 2;
        double factor = 0;
        if (done >= count)
            factor = 1;
        else if (done >= 0)
            factor = shape == Shape::log ? std::log(static_cast<double>(done + 1)) /
                                               std::log(static_cast<double>(count))
                                         : static_cast<double>(done) / static_cast<double>(count);
        base.lr =
            static_cast<float>(std::fma(static_cast<double>(max_lr) - min_lr, factor, min_lr));
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
static_assert(Schedule<Constant> && Schedule<WarmupLR> && Schedule<WarmupLinear> &&
              Schedule<WarmupCosine>);

/// A schedule as a value: which one it is does not change the trainer's type.
using AnySchedule = std::function<Rates(std::int64_t, Rates)>;

}  // namespace zeropp
