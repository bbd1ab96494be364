// SPDX-License-Identifier: Apache-2.0
/// \file The five schedules of DeepSpeed (0.19), step for step. Its engine moves the schedule on
/// after the optimizer: step 1 runs at what the schedule says before it starts, step 2 at its
/// iteration 0, step n at its iteration n - 2.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <optional>

#include <zeropp/optim/concepts.hpp>

namespace zeropp {

/// How a warm-up rises.
enum class WarmupShape : std::uint8_t { log, linear };

namespace detail {

inline std::int64_t deepspeed_iteration(std::int64_t step) { return step - 2; }

/// A warm-up below 2 steps counts as 2, as in DeepSpeed.
inline std::int64_t deepspeed_warmup(std::int64_t steps) {
    return std::max<std::int64_t>(2, steps);
}

/// From 0 to 1 over `steps` iterations, the first of which is 0; before it 0.
inline double warmup_factor(std::int64_t iteration, std::int64_t steps, WarmupShape shape) {
    if (iteration < 0) return 0;
    if (iteration >= steps) return 1;
    return shape == WarmupShape::log
               ? std::log(static_cast<double>(iteration + 1)) / std::log(static_cast<double>(steps))
               : static_cast<double>(iteration) / static_cast<double>(steps);
}

inline float between(double low, double high, double factor) {
    return static_cast<float>(std::fma(high - low, factor, low));
}

inline void require_at_least_1(std::string_view policy, std::string_view name, std::int64_t value,
                               std::string_view meaning) {
    require(value >= 1, Errc::config, policy, ": ", name, " is ", value,
            ", expected at least 1: ", meaning);
}

inline void check_warmup(std::string_view name, const auto& schedule) {
    require_at_least_0(name, "min_lr", schedule.min_lr);
    if (schedule.max_lr) require_at_least_0(name, "max_lr", *schedule.max_lr);
    require_at_least_0(name, "steps", static_cast<double>(schedule.steps));
}

}  // namespace detail

/// From `min_lr` to `max_lr` over `steps`, then constant. Steps 1 and 2 both run at `min_lr`.
struct WarmupLR {
    using Shape = WarmupShape;

    float min_lr = 0;
    std::optional<float> max_lr{};  ///< none: the optimizer's own, each parameter group's
    std::int64_t steps = 1000;
    Shape shape = Shape::log;

    void check() const { detail::check_warmup("WarmupLR", *this); }
    Rates operator()(std::int64_t step, Rates base) const {
        const double factor = detail::warmup_factor(detail::deepspeed_iteration(step),
                                                    detail::deepspeed_warmup(steps), shape);
        base.lr = detail::between(min_lr, max_lr.value_or(base.lr), factor);
        return base;
    }
};

/// WarmupLR, then linear from `max_lr` down to `min_lr`, which step `total` + 2 is the first to
/// have. Where `total` is within the warm-up, all steps after it run at `min_lr`.
struct WarmupDecayLR {
    using Shape = WarmupShape;

    std::int64_t total = 1;
    float min_lr = 0;
    std::optional<float> max_lr = 1e-3f;  ///< none: the optimizer's own
    std::int64_t steps = 1000;
    Shape shape = Shape::log;

    void check() const {
        detail::check_warmup("WarmupDecayLR", *this);
        detail::require_at_least_1("WarmupDecayLR", "total", total, "the steps until min_lr");
    }
    Rates operator()(std::int64_t step, Rates base) const {
        const std::int64_t at = detail::deepspeed_iteration(step);
        const std::int64_t warm = detail::deepspeed_warmup(steps);
        double factor = detail::warmup_factor(at, warm, shape);
        if (at >= warm)
            factor =
                std::max(0.0, static_cast<double>(total - at) /
                                  static_cast<double>(std::max<std::int64_t>(1, total - warm)));
        base.lr = detail::between(min_lr, max_lr.value_or(base.lr), factor);
        return base;
    }
};

/// Parts of the optimizer's lr: from `min_ratio` to 1 over `steps`, then half a cosine down to
/// `floor_ratio`, which step `total` + 1 is the first to have. Step 1 runs at 0 whatever
/// `min_ratio` is, and the cosine's first step is already below 1.
struct WarmupCosineLR {
    using Shape = WarmupShape;

    std::int64_t total = 1;
    float min_ratio = 0;
    std::int64_t steps = 1000;
    float floor_ratio = 1e-4f;
    Shape shape = Shape::log;

    void check() const {
        detail::require_at_least_1("WarmupCosineLR", "total", total, "the steps until floor_ratio");
        detail::require_at_least_0("WarmupCosineLR", "min_ratio", min_ratio);
        detail::require_at_least_0("WarmupCosineLR", "steps", static_cast<double>(steps));
        detail::require_at_least_0("WarmupCosineLR", "floor_ratio", floor_ratio);
    }
    Rates operator()(std::int64_t step, Rates base) const {
        const std::int64_t at = detail::deepspeed_iteration(step);
        const std::int64_t warm = detail::deepspeed_warmup(steps);
        double low = min_ratio, factor = detail::warmup_factor(at, warm, shape);
        if (at < 0) {
            low = factor = 0;
        } else if (at >= warm) {
            const auto span = static_cast<double>(std::max<std::int64_t>(1, total - warm));
            const double done = std::min(1.0, static_cast<double>(at - warm + 1) / span);
            low = floor_ratio;
            factor = 0.5 * (1.0 + std::cos(std::numbers::pi * done));
        }
        base.lr = static_cast<float>(base.lr * (at < 0 ? 0.0 : std::fma(1.0 - low, factor, low)));
        return base;
    }
};

/// Smith, "A disciplined approach to neural network hyper-parameters: Part 1", 2018: the rate rises
/// by `min_lr` * `rate` every `steps` steps, bit by bit or as a staircase, without end.
struct LRRangeTest {
    float min_lr = 1e-3f;
    std::int64_t steps = 2000;
    float rate = 1;
    bool staircase = false;

    void check() const {
        detail::require_at_least_0("LRRangeTest", "min_lr", min_lr);
        detail::require_at_least_1("LRRangeTest", "steps", steps, "the length of a stair");
        detail::require_at_least_0("LRRangeTest", "rate", rate);
    }
    Rates operator()(std::int64_t step, Rates base) const {
        double interval = static_cast<double>(step - 1) / static_cast<double>(steps);
        if (staircase) interval = std::floor(interval);
        base.lr = static_cast<float>(min_lr * std::fma(static_cast<double>(rate), interval, 1.0));
        return base;
    }
};

/// Smith, as above: the rate from `min_lr` up to `max_lr` and back while the momentum (Adam's
/// beta1) mirrors it, then both decay without end: lr = min_lr / (1 + decay_lr_rate * t) and
/// momentum = max_momentum * (1 + decay_momentum_rate * t), t in units of `decay_steps`.
/// As in DeepSpeed, step 1 has `min_momentum` though its rate is the lowest. DeepSpeed with
/// `cycle_momentum` also sets beta2 to 0.99; here that is the optimizer's own, to be set there.
struct OneCycle {
    float min_lr = 1e-4f;
    float max_lr = 1e-3f;
    std::int64_t first_steps = 2000;
    std::optional<std::int64_t> second_steps{};   ///< none: as `first_steps`
    std::int64_t first_stairs = 0;                ///< 0: smooth
    std::optional<std::int64_t> second_stairs{};  ///< none: as `first_stairs`
    std::int64_t decay_steps = 0;                 ///< 0: no decay
    float decay_lr_rate = 0;
    bool cycle_momentum = true;
    float min_momentum = 0.8f;
    float max_momentum = 0.9f;
    float decay_momentum_rate = 0;

    void check() const {
        const std::string_view name = "OneCycle";
        detail::require_at_least_0(name, "min_lr", min_lr);
        detail::require_at_least_0(name, "max_lr", max_lr);
        detail::require_at_least_1(name, "first_steps", first_steps, "the rise");
        detail::require_at_least_0(name, "second_steps", double(second_steps.value_or(0)));
        detail::require_at_least_0(name, "first_stairs", double(first_stairs));
        detail::require_at_least_0(name, "second_stairs", double(second_stairs.value_or(0)));
        detail::require_at_least_0(name, "decay_steps", double(decay_steps));
        detail::require_at_least_0(name, "decay_lr_rate", decay_lr_rate);
        detail::require_below_1(name, "min_momentum", min_momentum);
        detail::require_below_1(name, "max_momentum", max_momentum);
        detail::require_at_least_0(name, "decay_momentum_rate", decay_momentum_rate);
    }
    Rates operator()(std::int64_t step, Rates base) const {
        const std::int64_t fall = second_steps.value_or(first_steps), all = first_steps + fall;
        const std::int64_t at = step - 1;  // one more than DeepSpeed's iteration, as its formula
        double lr = min_lr, momentum = max_momentum;
        if (at <= all) {
            const double height = at < all ? height_at(at, fall) : 0;
            lr = std::fma(static_cast<double>(max_lr) - min_lr, height, lr);
            momentum = at == 0 ? min_momentum
                               : std::fma(static_cast<double>(min_momentum) - max_momentum, height,
                                          momentum);
        } else if (decay_steps > 0) {
            const double t = static_cast<double>(at - all) / static_cast<double>(decay_steps);
            lr /= 1 + decay_lr_rate * t;
            momentum *= 1 + decay_momentum_rate * t;
        }
        base.lr = static_cast<float>(lr);
        if (cycle_momentum) base.momentum = static_cast<float>(momentum);
        return base;
    }

private:
    /// 0 at the cycle's ends, 1 at its top.
    double height_at(std::int64_t at, std::int64_t fall) const {
        const bool rises = at <= first_steps;
        const std::int64_t stairs = rises ? first_stairs : second_stairs.value_or(first_stairs);
        const std::int64_t done = rises ? at : first_steps + fall - at;
        const std::int64_t span = rises ? first_steps : fall;
        if (stairs > 0)
            return static_cast<double>(done * stairs / span) / static_cast<double>(stairs);
        return static_cast<double>(done) / static_cast<double>(span);
    }
};
static_assert(Schedule<WarmupLR> && Schedule<WarmupDecayLR> && Schedule<WarmupCosineLR> &&
              Schedule<LRRangeTest> && Schedule<OneCycle>);

}  // namespace zeropp
