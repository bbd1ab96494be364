// SPDX-License-Identifier: Apache-2.0
/// \file From a configuration read at run time to policies, the only such place. Precision and
/// stage become types; everything else is a value.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <zeropp/comm/environment.hpp>
#include <zeropp/core/precision.hpp>
#include <zeropp/io/config_file.hpp>
#include <zeropp/io/config_rules.hpp>
#include <zeropp/io/elasticity.hpp>
#include <zeropp/io/optimizers.hpp>
#include <zeropp/io/schedules.hpp>
#include <zeropp/zero/options.hpp>
#include <zeropp/zero/stage.hpp>

namespace zeropp {

inline BatchSizes batch_sizes(const Config& config, int ranks) {
    if (config.elasticity.enabled.value_or(false)) return elastic_batch_sizes(config, ranks);
    const auto& micro = config.train_micro_batch_size_per_gpu;
    const bool undecided = !config.train_batch_size.given() && !micro.given() && micro.automatic;
    require(!undecided, Errc::config, micro.origin,
            " is \"auto\", expected a number, or a program that decides it");
    return batch_sizes(config.train_batch_size, config.train_micro_batch_size_per_gpu,
                       config.gradient_accumulation_steps, ranks);
}

/// Where nothing says a batch size: `micro`, which is `whose`. Only accumulation in the file is
/// refused, as DeepSpeed does; of a file that is empty nothing was meant.
inline void fill_batch_size(Config& config, std::int64_t micro, const char* whose) {
    if (config.elasticity.enabled.value_or(false) || config.train_batch_size.given() ||
        config.train_micro_batch_size_per_gpu.given())
        return;
    const bool asks =
        config.train_batch_size.automatic || config.train_micro_batch_size_per_gpu.automatic;
    const bool counts = std::any_of(config.keys.begin(), config.keys.end(), [](const auto& key) {
        return key.path == "gradient_accumulation_steps" && !key.automatic && key.value != "null";
    });
    const bool empty = !config.name.empty() && config.keys.empty();
    require(asks || (!counts && !empty), Errc::config, config.name,
            ": neither train_batch_size nor train_micro_batch_size_per_gpu is given, expected at "
            "least one");
    config.train_micro_batch_size_per_gpu.value = micro;
    config.train_micro_batch_size_per_gpu.origin = whose;
}

/// Bucket sizes of the file are upper bounds: the engine's own stands where it is smaller.
inline Buckets buckets_of(const Config& config) {
    const auto& zero = config.zero_optimization;
    const auto own = static_cast<std::int64_t>(Buckets{}.elements);
    return {static_cast<std::size_t>(std::min(
        {zero.reduce_bucket_size.value_or(own), zero.allgather_bucket_size.value_or(own), own}))};
}

inline DType precision_of(const Config& config) {
    return config.fp16.enabled.value_or(false) ? DType::fp16
           : config.bf16.value_or(false)       ? DType::bf16
                                               : DType::fp32;
}

/// Calls fn(fp32), fn(bf16) or fn(fp16).
template <class Fn>
decltype(auto) with_precision(const Config& config, Fn&& fn) {
    switch (precision_of(config)) {
        case DType::fp16:
            return fn(fp16);
        case DType::bf16:
            return fn(bf16);
        case DType::fp32:
            break;
    }
    return fn(fp32);
}

/// Calls fn(zero<N>), N = 0 where the file has no stage, and at most `most`: stages above are not
/// compiled, and refused.
template <int most = 3, class Fn>
decltype(auto) with_stage(const Config& config, Fn&& fn) {
    static_assert(most == 2 || most == 3, "zeropp: the highest stage of with_config is 2 or 3");
    const auto& stage = config.zero_optimization.stage;
    require(stage.value_or(0) <= most, Errc::config, stage.origin, " is ", stage.value_or(0),
            ", expected 0 to ", most, ": the model keeps its parameters whole");
    switch (config.zero_optimization.stage.value_or(0)) {
        case 0:
            return fn(zero<0>);
        case 1:
            return fn(zero<1>);
        case 2:
            return fn(zero<2>);
        default:
            return fn(zero<most>);
    }
}

/// Of a model in fp16; of another it is not used.
inline LossScale loss_scale_of(const Config& config) {
    if (precision_of(config) != DType::fp16) return {};
    const auto& given = config.fp16;
    const LossScale standard;
    const auto whole = [](const Setting<std::int64_t>& setting, int other) {
        return static_cast<int>(std::min<std::int64_t>(setting.value_or(other), 1'000'000'000));
    };
    return {.loss_scale = static_cast<float>(given.loss_scale.value_or(standard.loss_scale)),
            .initial_scale_power = whole(given.initial_scale_power, standard.initial_scale_power),
            .loss_scale_window = whole(given.loss_scale_window, standard.loss_scale_window),
            .hysteresis = whole(given.hysteresis, standard.hysteresis),
            .consecutive_hysteresis = given.consecutive_hysteresis.value_or(false),
            .min_loss_scale =
                static_cast<float>(given.min_loss_scale.value_or(standard.min_loss_scale))};
}

/// Of gradients: `data_types.grad_accum_dtype`. `communication_data_type` is checked: the wire has
/// the model's type.
inline Gradients gradients_of(const Config& config) {
    const DType model = precision_of(config);
    const auto type_of = [](std::string_view name) {
        return name == "fp16" || name == "float16"    ? DType::fp16
               : name == "bf16" || name == "bfloat16" ? DType::bf16
                                                      : DType::fp32;
    };
    const auto fits = [&](const Setting<std::string>& setting) {
        if (!setting.given()) return;
        const DType type = type_of(*setting.value);
        require(type == model || type == DType::fp32, Errc::config, setting.origin, " is \"",
                *setting.value, "\", expected ", model == DType::fp32 ? "" : "\"fp32\" or \"",
                model == DType::fp32 ? "\"" : "", name_of(model), "\": the model is in ",
                name_of(model));
    };
    fits(config.communication_data_type);
    fits(config.grad_accum_dtype);
    if (!config.grad_accum_dtype.given()) return {};
    return {type_of(*config.grad_accum_dtype.value)};
}

/// Moments in fewer bits where the file asks for them.
inline OptimizerStates optimizer_states_of(const Config& config) {
    const auto& own = config.zeropp.optimizer_states;
    const bool none =
        own.value_or("fp32") != "fp32" && optimizer_of(config).make_rule({})->slots().empty();
    require(!none, Errc::config, own.origin, " is ", own.value_or(""),
            ", expected fp32: the optimizer keeps no moments of elements");
    if (own.value_or("") == "8bit") return {SlotFormat::block8};
    const bool bf16_moments =
        own.value_or("") == "bf16" || asks_for_bf16_moments(config) != nullptr;
    return {bf16_moments ? SlotFormat::bfloat16 : SlotFormat::float32};
}

/// Whether blocks are computed again in backward.
inline bool recompute_of(const Config& config) {
    return config.zeropp.recompute.value_or(false) || !asks_to_recompute(config).empty();
}

inline ParameterGroups groups_of(const Config& config) {
    if (!config.zeropp.no_decay_on_norms.value_or(false)) return {};
    return no_decay_on_norms();
}

/// Calls fn(stage, optimizer, schedule, clipping, accumulation, buckets, gradients, loss scale,
/// optimizer states, groups): the trainer's policies but the precision, which is the model's.
template <int most_stage = 3, class Fn>
decltype(auto) with_policies(const Config& config, int ranks, const AnySchedule& schedule,
                             Fn&& fn) {
    require_consistent(config);
    const BatchSizes sizes = batch_sizes(config, ranks);
    const ClipNorm clip{static_cast<float>(config.gradient_clipping.value_or(1.0))};
    const std::string reduce = config.zeropp.reduce.value_or("by_stage");
    using Reduce = Accumulation::Reduce;
    const Accumulation accumulation{.steps = static_cast<int>(sizes.accumulation),
                                    .reduce = reduce == "once_a_step" ? Reduce::once_a_step
                                              : reduce == "by_stage"  ? Reduce::by_stage
                                                                      : Reduce::every_micro_step};
    return with_stage<most_stage>(config, [&](auto stage) -> decltype(auto) {
        return fn(stage, optimizer_of(config), schedule, clip, accumulation, buckets_of(config),
                  gradients_of(config), loss_scale_of(config), optimizer_states_of(config),
                  groups_of(config));
    });
}
/// With the file's schedule.
template <int most_stage = 3, class Fn>
decltype(auto) with_policies(const Config& config, int ranks, Fn&& fn) {
    require_consistent(config);  // before its schedule is made
    return with_policies<most_stage>(config, ranks, schedule_of(config), std::forward<Fn>(fn));
}

/// What a trainer would refuse at its start: policies whose values mean nothing.
inline void require_policies(const Config& config, int ranks, const AnySchedule& schedule) {
    with_policies(config, ranks, schedule, [](const auto&... policies) {
        const auto check = [](const auto& policy) {
            if constexpr (ChecksItself<std::remove_cvref_t<decltype(policy)>>) policy.check();
        };
        (check(policies), ...);
    });
}
/// With the file's schedule, whatever rate and number of steps "auto" becomes: none is wrong beside
/// another.
inline void require_policies(Config config, int ranks) {
    const auto decide = [](auto& setting) {
        if (setting.automatic && !setting.given()) setting.value = 1;
    };
    decide(config.scheduler.total_num_steps);
    decide(config.scheduler.warmup_num_steps);
    decide(config.optimizer.lr);
    require_consistent(config);
    require_policies(config, ranks, schedule_of(config));
}

/// Refuses what the file asks of a program and no policy carries out.
inline void require_policies_alone(const Config& config) {
    std::vector<std::string> asked;
    for (const auto* setting :
         {&config.tensorboard.enabled, &config.csv_monitor.enabled, &config.comms_logger.enabled,
          &config.flops_profiler.enabled, &config.wall_clock_breakdown, &config.memory_breakdown,
          &config.dump_state})
        if (setting->value_or(false)) asked.push_back(setting->origin);
    if (recompute_of(config))
        asked.push_back(config.zeropp.recompute.value_or(false) ? config.zeropp.recompute.origin
                                                                : asks_to_recompute(config));
    for (std::string& each : asked)
        each +=
            " is on, which no policy does, expected it off; zeropp-t5 does it, or a program "
            "that reads it from Config and calls with_policies";
    detail::refuse_for(asked);
}

/// Calls fn(precision, policies...), in stages up to `most_stage`: 2 for a model over arrays of the
/// user's. What zeropp does not do is refused, and so is what is no policy's to do.
template <int most_stage = 3, class Fn>
decltype(auto) with_config(const Config& config, int ranks, Fn&& fn) {
    static_assert(std::invocable<Fn, decltype(fp32), decltype(zero<0>), AnyOptimizer, AnySchedule,
                                 ClipNorm, Accumulation, Buckets, Gradients, LossScale,
                                 OptimizerStates, ParameterGroups>,
                  "zeropp: the last argument of with_config must take all policies, in any "
                  "precision and stage: [&](auto precision, auto... policies) { ... }");
    require_supported(config);
    require_policies_alone(config);
    return with_precision(config, [&](auto precision) -> decltype(auto) {
        return with_policies<most_stage>(config, ranks, [&](auto... policies) -> decltype(auto) {
            return fn(precision, std::move(policies)...);
        });
    });
}
/// Of a file.
template <int most_stage = 3, class Fn>
decltype(auto) with_config(const std::filesystem::path& file, int ranks, Fn&& fn) {
    return with_config<most_stage>(read_config(file), ranks, std::forward<Fn>(fn));
}
/// Of an object that was parsed or made elsewhere.
template <int most_stage = 3, std::same_as<Json> Object, class Fn>
decltype(auto) with_config(const Object& object, int ranks, Fn&& fn) {
    return with_config<most_stage>(config_from(object, "ds_config"), ranks, std::forward<Fn>(fn));
}
/// On as many ranks as the launcher says: mpirun, Kubeflow, or who exports WORLD_SIZE; else one.
template <int most_stage = 3, class Source, class Fn>
decltype(auto) with_config(const Source& source, Fn&& fn) {
    return with_config<most_stage>(source, environment().world_size, std::forward<Fn>(fn));
}

}  // namespace zeropp
