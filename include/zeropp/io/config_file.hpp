// SPDX-License-Identifier: Apache-2.0
/// \file From a DeepSpeed JSON file to `Config`: every key is checked, nothing is assumed.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <zeropp/core/error.hpp>
#include <zeropp/format/json.hpp>
#include <zeropp/io/config.hpp>
#include <zeropp/io/config_reader.hpp>

namespace zeropp {

namespace detail {

/// Types of data have several names in DeepSpeed.
inline void use_short_name(Setting<std::string>& dtype) {
    if (!dtype.given()) return;
    for (const std::string_view names :
         {"fp32|float32|float", "fp16|float16|half", "bf16|bfloat16"})
        if (!word_in(names, *dtype.value).empty())
            dtype.value = std::string{names.substr(0, names.find('|'))};
}

/// Keys of blocks that are off, and those beside an elasticity that is told not to read them, do
/// nothing.
inline void mark_what_is_not_read(Config& config) {
    const auto mark = [&](const std::string& begin, const std::string& note) {
        for (ConfigEntry& entry : config.keys)
            if (entry.path.starts_with(begin) && !entry.path.ends_with(".enabled") &&
                entry.fate == Fate::honoured) {
                entry.fate = Fate::harmless;
                entry.note = note;
            }
    };
    const auto mark_if_off = [&](const char* block, const Setting<bool>& enabled) {
        if (!enabled.value_or(false) && !enabled.automatic)
            mark(std::string{block} + ".", std::string{block} + " is off");
    };
    mark_if_off("fp16", config.fp16.enabled);
    mark_if_off("bf16", config.bf16);
    mark_if_off("bfloat16", config.bf16);
    mark_if_off("elasticity", config.elasticity.enabled);
    mark_if_off("tensorboard", config.tensorboard.enabled);
    mark_if_off("csv_monitor", config.csv_monitor.enabled);
    mark_if_off("flops_profiler", config.flops_profiler.enabled);
    mark_if_off("comms_logger", config.comms_logger.enabled);
    if (config.elasticity.enabled.value_or(false) &&
        config.elasticity.ignore_non_elastic_batch_info.value_or(false))
        for (const char* key :
             {"train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps"})
            mark(key, "not read: elasticity decides the batch");
}

}  // namespace detail

/// An object that was parsed or made elsewhere. `name` stands for the file in messages.
inline Config config_from(Json object, const std::string& name) {
    Config config;
    config.name = name;
    const detail::ConfigReader file{std::move(object), name, config.keys};
    const auto take = [&](std::string_view path, auto& setting) { file.take(path, setting); };
#define ZEROPP_TAKE(block, member) take(#block "." #member, config.block.member)
#define ZEROPP_TAKE_PARAMETER(block, member) take(#block ".params." #member, config.block.member)
    take("train_batch_size", config.train_batch_size);
    take("train_micro_batch_size_per_gpu", config.train_micro_batch_size_per_gpu);
    take("gradient_accumulation_steps", config.gradient_accumulation_steps);
    take("steps_per_print", config.steps_per_print);
    take("gradient_clipping", config.gradient_clipping);
    take("wall_clock_breakdown", config.wall_clock_breakdown);
    take("memory_breakdown", config.memory_breakdown);
    take("dump_state", config.dump_state);
    take("communication_data_type", config.communication_data_type);
    take("data_types.grad_accum_dtype", config.grad_accum_dtype);
    take("data_types.param_dtype", config.param_dtype);
    detail::use_short_name(config.grad_accum_dtype);
    detail::use_short_name(config.param_dtype);
    take("bfloat16.enabled", config.bf16);
    take("bf16.enabled", config.bf16);
    take("bfloat16.bf16_optimizer_states", config.bf16_optimizer_states);
    take("bf16.bf16_optimizer_states", config.bf16_optimizer_states);
    ZEROPP_TAKE(fp16, enabled);
    ZEROPP_TAKE(fp16, loss_scale);
    ZEROPP_TAKE(fp16, initial_scale_power);
    ZEROPP_TAKE(fp16, loss_scale_window);
    ZEROPP_TAKE(fp16, hysteresis);
    ZEROPP_TAKE(fp16, consecutive_hysteresis);
    ZEROPP_TAKE(fp16, min_loss_scale);
    ZEROPP_TAKE(zero_optimization, stage);
    ZEROPP_TAKE(zero_optimization, allgather_bucket_size);
    ZEROPP_TAKE(zero_optimization, reduce_bucket_size);
    ZEROPP_TAKE(optimizer, type);
    ZEROPP_TAKE_PARAMETER(optimizer, lr);
    ZEROPP_TAKE_PARAMETER(optimizer, betas);
    ZEROPP_TAKE_PARAMETER(optimizer, weight_decay);
    if (config.optimizer.type.value_or("") == "Adafactor")
        take("optimizer.params.eps", config.optimizer.eps_pair);
    else
        take("optimizer.params.eps", config.optimizer.eps);
    ZEROPP_TAKE_PARAMETER(optimizer, bias_correction);
    ZEROPP_TAKE_PARAMETER(optimizer, adam_w_mode);
    ZEROPP_TAKE_PARAMETER(optimizer, fp32_optimizer_states);
    ZEROPP_TAKE_PARAMETER(optimizer, torch_adam);
    ZEROPP_TAKE_PARAMETER(optimizer, momentum);
    ZEROPP_TAKE_PARAMETER(optimizer, dampening);
    ZEROPP_TAKE_PARAMETER(optimizer, nesterov);
    ZEROPP_TAKE_PARAMETER(optimizer, maximize);
    ZEROPP_TAKE_PARAMETER(optimizer, lr_decay);
    ZEROPP_TAKE_PARAMETER(optimizer, max_coeff);
    ZEROPP_TAKE_PARAMETER(optimizer, min_coeff);
    ZEROPP_TAKE_PARAMETER(optimizer, eps_inside_sqrt);
    ZEROPP_TAKE_PARAMETER(optimizer, clip_threshold);
    ZEROPP_TAKE_PARAMETER(optimizer, decay_rate);
    ZEROPP_TAKE_PARAMETER(optimizer, beta1);
    ZEROPP_TAKE_PARAMETER(optimizer, scale_parameter);
    ZEROPP_TAKE_PARAMETER(optimizer, relative_step);
    ZEROPP_TAKE_PARAMETER(optimizer, warmup_init);
    ZEROPP_TAKE(scheduler, type);
    ZEROPP_TAKE_PARAMETER(scheduler, warmup_min_lr);
    ZEROPP_TAKE_PARAMETER(scheduler, warmup_max_lr);
    ZEROPP_TAKE_PARAMETER(scheduler, warmup_num_steps);
    ZEROPP_TAKE_PARAMETER(scheduler, warmup_type);
    ZEROPP_TAKE_PARAMETER(scheduler, total_num_steps);
    ZEROPP_TAKE_PARAMETER(scheduler, warmup_min_ratio);
    ZEROPP_TAKE_PARAMETER(scheduler, cos_min_ratio);
    ZEROPP_TAKE_PARAMETER(scheduler, lr_range_test_min_lr);
    ZEROPP_TAKE_PARAMETER(scheduler, lr_range_test_step_size);
    ZEROPP_TAKE_PARAMETER(scheduler, lr_range_test_step_rate);
    ZEROPP_TAKE_PARAMETER(scheduler, lr_range_test_staircase);
    ZEROPP_TAKE_PARAMETER(scheduler, cycle_min_lr);
    ZEROPP_TAKE_PARAMETER(scheduler, cycle_max_lr);
    ZEROPP_TAKE_PARAMETER(scheduler, decay_lr_rate);
    ZEROPP_TAKE_PARAMETER(scheduler, cycle_first_step_size);
    ZEROPP_TAKE_PARAMETER(scheduler, cycle_second_step_size);
    ZEROPP_TAKE_PARAMETER(scheduler, cycle_first_stair_count);
    ZEROPP_TAKE_PARAMETER(scheduler, cycle_second_stair_count);
    ZEROPP_TAKE_PARAMETER(scheduler, decay_step_size);
    ZEROPP_TAKE_PARAMETER(scheduler, cycle_momentum);
    ZEROPP_TAKE_PARAMETER(scheduler, cycle_min_mom);
    ZEROPP_TAKE_PARAMETER(scheduler, cycle_max_mom);
    ZEROPP_TAKE_PARAMETER(scheduler, decay_mom_rate);
    ZEROPP_TAKE(elasticity, enabled);
    ZEROPP_TAKE(elasticity, max_train_batch_size);
    ZEROPP_TAKE(elasticity, min_gpus);
    ZEROPP_TAKE(elasticity, max_gpus);
    ZEROPP_TAKE(elasticity, num_gpus_per_node);
    ZEROPP_TAKE(elasticity, prefer_larger_batch);
    ZEROPP_TAKE(elasticity, ignore_non_elastic_batch_info);
    ZEROPP_TAKE(elasticity, version);
    ZEROPP_TAKE(elasticity, micro_batch_sizes);
    ZEROPP_TAKE(tensorboard, enabled);
    ZEROPP_TAKE(tensorboard, output_path);
    ZEROPP_TAKE(tensorboard, job_name);
    ZEROPP_TAKE(csv_monitor, enabled);
    ZEROPP_TAKE(csv_monitor, output_path);
    ZEROPP_TAKE(csv_monitor, job_name);
    ZEROPP_TAKE(flops_profiler, enabled);
    ZEROPP_TAKE(flops_profiler, profile_step);
    ZEROPP_TAKE(flops_profiler, module_depth);
    ZEROPP_TAKE(flops_profiler, top_modules);
    ZEROPP_TAKE(flops_profiler, detailed);
    ZEROPP_TAKE(flops_profiler, output_file);
    ZEROPP_TAKE(comms_logger, enabled);
    ZEROPP_TAKE(comms_logger, prof_all);
    ZEROPP_TAKE(comms_logger, prof_ops);
    ZEROPP_TAKE(comms_logger, verbose);
    ZEROPP_TAKE(zeropp, optimizer_states);
    ZEROPP_TAKE(zeropp, reduce);
    ZEROPP_TAKE(zeropp, no_decay_on_norms);
    ZEROPP_TAKE(zeropp, recompute);
    ZEROPP_TAKE(activation_checkpointing, partition_activations);
    ZEROPP_TAKE(activation_checkpointing, cpu_checkpointing);
    ZEROPP_TAKE(activation_checkpointing, number_checkpoints);
#undef ZEROPP_TAKE
#undef ZEROPP_TAKE_PARAMETER
    detail::mark_what_is_not_read(config);
    return config;
}

/// `name` stands for the file in messages.
inline Config parse_config(std::string_view text, const std::string& name) {
    require(Json::accept(text) || !Json::accept(text, true), Errc::config, name,
            ": has comments, expected JSON, which has none; take them out");
    return config_from(parse_json(text, name), name);
}

/// Messages call the file by its path.
inline Config read_config(const std::filesystem::path& path) {
    return parse_config(read_text(path), path.string());
}

/// One sentence for each key that asks for what zeropp does not do, at most ten.
inline std::vector<std::string> unsupported_sentences(const Config& config) {
    std::vector<std::string> sentences;
    for (const ConfigEntry& entry : config.keys)
        if (entry.fate == Fate::unsupported)
            sentences.push_back(config.name + ": " + detail::cut(entry.path, 120) + " is " +
                                detail::cut(entry.value) + ", which is not supported, expected " +
                                entry.expected + "; " + entry.note);
    return detail::at_most_ten(std::move(sentences), config.name, "keys are not supported");
}

/// Refuses what the file may say but zeropp does not do; nothing is weakened in silence.
inline void require_supported(const Config& config) {
    detail::refuse_for(unsupported_sentences(config));
}

}  // namespace zeropp
