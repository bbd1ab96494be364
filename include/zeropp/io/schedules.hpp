// SPDX-License-Identifier: Apache-2.0
/// \file The schedule that a configuration names, as a value.
#pragma once

#include <optional>
#include <string>

#include <zeropp/io/config.hpp>
#include <zeropp/io/optimizers.hpp>
#include <zeropp/optim/deepspeed_schedules.hpp>
#include <zeropp/optim/schedule.hpp>

namespace zeropp {

namespace detail {

inline std::optional<float> rate_if_given(const Setting<double>& setting) {
    if (!setting.given()) return {};
    return static_cast<float>(*setting.value);
}

}  // namespace detail

/// Constant where none is named. What is "auto" is what DeepSpeed has for a default, but for
/// `warmup_max_lr` (the optimizer's rate) and `total_num_steps`, which the program sets.
inline AnySchedule schedule_of(const Config& config) {
    using detail::or_else;
    const Config::Scheduler& given = config.scheduler;
    const std::string type = given.type.value_or("");
    const auto checked = [](auto schedule) -> AnySchedule {
        schedule.check();
        return schedule;
    };
    const WarmupShape shape =
        given.warmup_type.value_or("log") == "linear" ? WarmupShape::linear : WarmupShape::log;
    if (type == "WarmupLR")
        return checked(WarmupLR{.min_lr = or_else(given.warmup_min_lr, 0),
                                .max_lr = detail::rate_if_given(given.warmup_max_lr),
                                .steps = given.warmup_num_steps.value_or(1000),
                                .shape = shape});
    const auto total = [&] {
        require(given.total_num_steps.given(), Errc::config, given.total_num_steps.origin,
                " is \"auto\", expected an integer, or a program that knows it");
        return *given.total_num_steps.value;
    };
    if (type == "WarmupDecayLR") {
        WarmupDecayLR schedule{.total = total(),
                               .min_lr = or_else(given.warmup_min_lr, 0),
                               .steps = given.warmup_num_steps.value_or(1000),
                               .shape = shape};
        if (given.warmup_max_lr.given() || given.warmup_max_lr.automatic)
            schedule.max_lr = detail::rate_if_given(given.warmup_max_lr);
        return checked(schedule);
    }
    if (type == "WarmupCosineLR")
        return checked(WarmupCosineLR{.total = total(),
                                      .min_ratio = or_else(given.warmup_min_ratio, 0),
                                      .steps = given.warmup_num_steps.value_or(1000),
                                      .floor_ratio = or_else(given.cos_min_ratio, 1e-4f),
                                      .shape = shape});
    if (type == "LRRangeTest")
        return checked(LRRangeTest{.min_lr = or_else(given.lr_range_test_min_lr, 1e-3f),
                                   .steps = given.lr_range_test_step_size.value_or(2000),
                                   .rate = or_else(given.lr_range_test_step_rate, 1),
                                   .staircase = given.lr_range_test_staircase.value_or(false)});
    if (type == "OneCycle") {
        OneCycle schedule{.min_lr = or_else(given.cycle_min_lr, 0),
                          .max_lr = or_else(given.cycle_max_lr, 0),
                          .first_steps = given.cycle_first_step_size.value_or(2000)};
        schedule.second_steps = given.cycle_second_step_size.value;
        schedule.first_stairs = given.cycle_first_stair_count.value_or(0);
        schedule.second_stairs = given.cycle_second_stair_count.value;
        schedule.decay_steps = given.decay_step_size.value_or(0);
        schedule.decay_lr_rate = or_else(given.decay_lr_rate, 0);
        // There, too, only Adam's kind has a momentum that cycles.
        const std::string optimizer = config.optimizer.type.value_or("AdamW");
        const bool has_betas =
            optimizer != "SGD" && optimizer != "Adagrad" && optimizer != "Adafactor";
        schedule.cycle_momentum = has_betas && given.cycle_momentum.value_or(true);
        schedule.min_momentum = or_else(given.cycle_min_mom, 0.8f);
        schedule.max_momentum = or_else(given.cycle_max_mom, 0.9f);
        schedule.decay_momentum_rate = or_else(given.decay_mom_rate, 0);
        return checked(schedule);
    }
    return Constant{};
}

}  // namespace zeropp
