// SPDX-License-Identifier: Apache-2.0
/// \file What settings of a configuration have to say of each other, once all of them are there:
/// a file's, a program's flags, and what was "auto".
#pragma once

#include <cmath>
#include <string>

#include <zeropp/core/error.hpp>
#include <zeropp/io/config.hpp>
#include <zeropp/io/settings.hpp>

namespace zeropp {

/// Of Adafactor: as transformers' class, where a rate and relative steps exclude each other.
inline bool has_relative_steps(const Config::Optimizer& given) {
    return given.relative_step.value_or(!given.lr.given());
}
/// Then no schedule has a part in it.
inline bool makes_its_rates(const Config& config) {
    return config.optimizer.type.value_or("") == "Adafactor" &&
           has_relative_steps(config.optimizer);
}

/// The setting by which DeepSpeed's keys ask for moments in bf16; null: none does.
inline const Setting<bool>* asks_for_bf16_moments(const Config& config) {
    if (config.bf16.value_or(false) && config.bf16_optimizer_states.value_or(false))
        return &config.bf16_optimizer_states;
    const auto& states = config.optimizer.fp32_optimizer_states;
    return states.value_or(true) ? nullptr : &states;
}
/// What of activation_checkpointing asks for it; empty: nothing does.
inline std::string asks_to_recompute(const Config& config) {
    const auto& how = config.activation_checkpointing;
    if (how.partition_activations.value_or(false)) return how.partition_activations.origin;
    if (how.cpu_checkpointing.value_or(false)) return how.cpu_checkpointing.origin;
    return how.number_checkpoints.value_or(0) > 0 ? how.number_checkpoints.origin : "";
}

inline void require_consistent(const Config& config) {
    const auto& own = config.zeropp;
    const Setting<bool>* const bf16_moments = asks_for_bf16_moments(config);
    require(bf16_moments == nullptr || own.optimizer_states.value_or("bf16") == "bf16",
            Errc::config, own.optimizer_states.origin, " is ", own.optimizer_states.value_or(""),
            ", expected bf16, as ", bf16_moments == nullptr ? "" : bf16_moments->origin, " says");
    const std::string recomputes = asks_to_recompute(config);
    require(recomputes.empty() || own.recompute.value_or(true), Errc::config, own.recompute.origin,
            " is false, expected true, as ", recomputes, " asks for it");
    const auto both = [](const Setting<bool>& a, const Setting<bool>& b) {
        require(!a.value_or(false) || !b.value_or(false), Errc::config, a.origin, " and ", b.origin,
                " are true, expected one of them");
    };
    both(config.bf16, config.fp16.enabled);
    if (config.param_dtype.given() && !config.bf16.automatic && !config.fp16.enabled.automatic) {
        const std::string model = config.bf16.value_or(false)           ? "bf16"
                                  : config.fp16.enabled.value_or(false) ? "fp16"
                                                                        : "fp32";
        require(*config.param_dtype.value == model, Errc::config, config.param_dtype.origin,
                " is \"", *config.param_dtype.value, "\", expected \"", model,
                "\", as bf16.enabled and fp16.enabled say");
    }
    const auto& half = config.fp16;
    const double least_scale = half.min_loss_scale.value_or(1);
    const double first_scale =
        std::ldexp(1.0, static_cast<int>(half.initial_scale_power.value_or(16)));
    require(!half.enabled.value_or(false) || half.loss_scale.value_or(0) != 0 ||
                least_scale <= first_scale,
            Errc::config, config.name, ": fp16.min_loss_scale is ", least_scale,
            ", expected at most ", first_scale, ", the first scale, 2^initial_scale_power");
    const auto& optimizer = config.optimizer;
    const double least_trust = optimizer.min_coeff.value_or(0.01),
                 most_trust = optimizer.max_coeff.value_or(10);
    require(
        least_trust <= most_trust, Errc::config,
        (optimizer.max_coeff.given() ? optimizer.max_coeff : optimizer.min_coeff).origin, " is ",
        optimizer.max_coeff.given() ? most_trust : least_trust, ", expected at ",
        optimizer.max_coeff.given() ? "least min_coeff, which is " : "most max_coeff, which is ",
        optimizer.max_coeff.given() ? least_trust : most_trust);
    require(!optimizer.nesterov.value_or(false) ||
                (optimizer.momentum.value_or(0) > 0 && optimizer.dampening.value_or(0) == 0),
            Errc::config, optimizer.nesterov.origin,
            " is true, expected a momentum above 0 and no dampening beside it");
    const auto& scheduler = config.scheduler;
    require(!scheduler.type.given() || !makes_its_rates(config), Errc::config,
            scheduler.type.origin, " is ", scheduler.type.value_or(""),
            ", expected none: Adafactor without lr makes its own rates; give optimizer.params.lr");
    const std::string type = scheduler.type.value_or("");
    const auto needs = [&](const auto& setting, const char* key) {
        require(setting.given() || setting.automatic, Errc::config, config.name,
                ": scheduler.params.", key, " is missing, expected a number: ", type,
                " has no default of it");
    };
    if (type == "WarmupDecayLR" || type == "WarmupCosineLR")
        needs(scheduler.total_num_steps, "total_num_steps");
    if (type == "OneCycle") {
        needs(scheduler.cycle_min_lr, "cycle_min_lr");
        needs(scheduler.cycle_max_lr, "cycle_max_lr");
    }
}

}  // namespace zeropp
