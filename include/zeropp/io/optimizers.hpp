// SPDX-License-Identifier: Apache-2.0
/// \file The optimizer that a configuration names, as a value.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include <zeropp/core/error.hpp>
#include <zeropp/io/config.hpp>
#include <zeropp/io/config_rules.hpp>
#include <zeropp/io/config_value.hpp>
#include <zeropp/optim/adafactor.hpp>
#include <zeropp/optim/adagrad.hpp>
#include <zeropp/optim/adamw.hpp>
#include <zeropp/optim/lamb.hpp>
#include <zeropp/optim/lion.hpp>
#include <zeropp/optim/rule.hpp>
#include <zeropp/optim/sgd.hpp>

namespace zeropp {

/// A type of a flag, in any case, as `schema::optimizers` spell it.
inline std::string optimizer_type(std::string_view name) {
    const std::string_view type = detail::word_in(schema::optimizers, name);
    const bool elsewhere = !detail::word_in(schema::other_optimizers, name).empty();
    require(!type.empty(), Errc::config, "optimizer '", name,
            elsewhere ? "' is not supported, expected " : "' is unknown, expected ",
            detail::one_of(schema::optimizers), elsewhere ? "; " : "",
            elsewhere ? detail::why_no_optimizer(name) : "");
    return std::string{type};
}

namespace detail {

inline float or_else(const Setting<double>& setting, float other) {
    return setting.given() ? static_cast<float>(*setting.value) : other;
}
/// DeepSpeed's OneCycle holds the second beta at 0.99 while it cycles the first.
inline std::array<double, 2> betas_of(const Config& config) {
    auto betas = config.optimizer.betas.value_or({0.9, 0.999});
    if (config.scheduler.type.value_or("") == "OneCycle" &&
        config.scheduler.cycle_momentum.value_or(true))
        betas[1] = 0.99;
    return betas;
}
/// PyTorch's AdamW, which DeepSpeed uses where it is asked to, has a default of its own.
inline float weight_decay_of(const Config::Optimizer& given) {
    const bool decoupled =
        given.type.value_or("AdamW") == "AdamW" || given.adam_w_mode.value_or(true);
    return or_else(given.weight_decay,
                   given.torch_adam.value_or(false) && decoupled ? 0.01f : 0.0f);
}
template <class O>
O adam_of(const Config::Optimizer& given, const std::array<double, 2>& betas) {
    return {.lr = or_else(given.lr, 1e-3f),
            .beta1 = static_cast<float>(betas[0]),
            .beta2 = betas[1],
            .eps = or_else(given.eps, 1e-8f),
            .weight_decay = weight_decay_of(given),
            .bias_correction = given.bias_correction.value_or(true),
            .maximize = given.maximize.value_or(false)};
}
inline Adafactor adafactor_of(const Config::Optimizer& given) {
    Adafactor optimizer;
    // As transformers' class wants it: a rate of its own, or relative steps.
    optimizer.relative_step = has_relative_steps(given);
    if (given.lr.given()) optimizer.lr = static_cast<float>(*given.lr.value);
    const auto eps = given.eps_pair.value_or({1e-30, 1e-3});
    optimizer.eps = static_cast<float>(eps[0]);
    optimizer.eps_scale = static_cast<float>(eps[1]);
    optimizer.clip_threshold = or_else(given.clip_threshold, optimizer.clip_threshold);
    optimizer.decay_rate = or_else(given.decay_rate, optimizer.decay_rate);
    if (given.beta1.given()) optimizer.beta1 = static_cast<float>(*given.beta1.value);
    optimizer.weight_decay = or_else(given.weight_decay, 0);
    optimizer.scale_parameter = given.scale_parameter.value_or(true);
    optimizer.warmup_init = given.warmup_init.value_or(false);
    return optimizer;
}

}  // namespace detail

/// AdamW where none is named. "Adam" is AdamW too unless `adam_w_mode` is false, as in DeepSpeed,
/// where "AdamW" is so in any case; defaults are DeepSpeed's (weight_decay 0, lr 1e-3), of Adagrad
/// and SGD PyTorch's.
inline AnyOptimizer optimizer_of(const Config& config) {
    using detail::or_else;
    const Config::Optimizer& given = config.optimizer;
    const std::string type = given.type.value_or("AdamW");
    require(!detail::word_in(schema::optimizers, type).empty(), Errc::config, given.type.origin,
            " is \"", type, "\", expected ", detail::one_of(schema::optimizers));
    const std::array<double, 2> betas = detail::betas_of(config);
    if (type == "Lamb")
        return Lamb{.lr = or_else(given.lr, 1e-3f),
                    .beta1 = static_cast<float>(betas[0]),
                    .beta2 = betas[1],
                    .eps = or_else(given.eps, 1e-8f),
                    .weight_decay = or_else(given.weight_decay, 0),
                    .max_coeff = or_else(given.max_coeff, 10),
                    .min_coeff = or_else(given.min_coeff, 0.01f),
                    .bias_correction = given.bias_correction.value_or(true),
                    .eps_inside_sqrt = given.eps_inside_sqrt.value_or(false)};
    if (type == "Lion") {
        Lion lion{.lr = or_else(given.lr, 1e-3f), .weight_decay = or_else(given.weight_decay, 0)};
        lion.beta1 = static_cast<float>(betas[0]);
        lion.beta2 = betas[1];
        return lion;
    }
    if (type == "Adagrad")
        return Adagrad{.lr = or_else(given.lr, 1e-2f),
                       .lr_decay = or_else(given.lr_decay, 0),
                       .eps = or_else(given.eps, 1e-10f),
                       .weight_decay = or_else(given.weight_decay, 0),
                       .maximize = given.maximize.value_or(false)};
    if (type == "SGD") {
        if (given.momentum.value_or(0) == 0)
            return Sgd{.lr = or_else(given.lr, 1e-3f),
                       .weight_decay = or_else(given.weight_decay, 0),
                       .maximize = given.maximize.value_or(false)};
        return MomentumSgd{.lr = or_else(given.lr, 1e-3f),
                           .momentum = or_else(given.momentum, 0),
                           .dampening = or_else(given.dampening, 0),
                           .nesterov = given.nesterov.value_or(false),
                           .weight_decay = or_else(given.weight_decay, 0),
                           .maximize = given.maximize.value_or(false)};
    }
    if (type == "Adafactor") return detail::adafactor_of(given);
    if (type == "Adam" && !given.adam_w_mode.value_or(true))
        return detail::adam_of<Adam>(given, betas);
    return detail::adam_of<AdamW>(given, betas);
}

}  // namespace zeropp
