// SPDX-License-Identifier: Apache-2.0
/// \file `Config`: what a DeepSpeed JSON file says.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <zeropp/io/config_entry.hpp>
#include <zeropp/io/settings.hpp>

namespace zeropp {

/// A setting is empty where the file has no such key, or "auto". Blocks and names as in DeepSpeed's
/// schema.
struct Config {
    struct Optimizer {
        Setting<std::string> type;
        Setting<double> lr, eps, weight_decay, momentum, dampening, lr_decay;
        Setting<double> max_coeff, min_coeff, clip_threshold, decay_rate, beta1;
        Setting<std::array<double, 2>> betas, eps_pair;  ///< `eps_pair`: Adafactor's eps
        Setting<bool> bias_correction, adam_w_mode, nesterov, maximize, eps_inside_sqrt;
        Setting<bool> scale_parameter, relative_step, warmup_init, fp32_optimizer_states,
            torch_adam;
    };
    struct Scheduler {
        Setting<std::string> type, warmup_type;
        Setting<double> warmup_min_lr, warmup_max_lr, warmup_min_ratio, cos_min_ratio;
        Setting<std::int64_t> warmup_num_steps, total_num_steps;
        Setting<double> lr_range_test_min_lr, lr_range_test_step_rate;
        Setting<std::int64_t> lr_range_test_step_size;
        Setting<bool> lr_range_test_staircase, cycle_momentum;
        Setting<double> cycle_min_lr, cycle_max_lr, decay_lr_rate, cycle_min_mom, cycle_max_mom,
            decay_mom_rate;
        Setting<std::int64_t> cycle_first_step_size, cycle_second_step_size,
            cycle_first_stair_count, cycle_second_stair_count, decay_step_size;
    };
    struct Fp16 {
        Setting<bool> enabled, consecutive_hysteresis;
        Setting<double> loss_scale, min_loss_scale;
        Setting<std::int64_t> initial_scale_power, loss_scale_window, hysteresis;
    };
    struct Zero {
        Setting<std::int64_t> stage, allgather_bucket_size, reduce_bucket_size;
    };
    struct Elasticity {
        Setting<bool> enabled, prefer_larger_batch, ignore_non_elastic_batch_info;
        Setting<std::int64_t> max_train_batch_size, min_gpus, max_gpus, num_gpus_per_node;
        Setting<double> version;
        std::vector<std::int64_t> micro_batch_sizes;
    };
    struct Monitor {
        Setting<bool> enabled;
        Setting<std::string> output_path, job_name;
    };
    struct FlopsProfiler {
        Setting<bool> enabled, detailed;
        Setting<std::int64_t> profile_step, module_depth, top_modules;
        Setting<std::string> output_file;
    };
    struct CommsLogger {
        Setting<bool> enabled, prof_all, verbose;
        std::vector<std::string> prof_ops;
    };
    /// What DeepSpeed has no key for.
    struct Own {
        Setting<std::string> optimizer_states, reduce;
        Setting<bool> no_decay_on_norms, recompute;
    };
    struct Checkpointing {
        Setting<bool> partition_activations, cpu_checkpointing;
        Setting<std::int64_t> number_checkpoints;
    };

    Setting<std::int64_t> train_batch_size, train_micro_batch_size_per_gpu;
    Setting<std::int64_t> gradient_accumulation_steps, steps_per_print;
    Setting<double> gradient_clipping;  ///< 1.0 where absent, as in DeepSpeed 0.19; 0 is off
    Setting<bool> bf16;                 ///< bf16.enabled
    Setting<bool> bf16_optimizer_states, wall_clock_breakdown, memory_breakdown, dump_state;
    Setting<std::string> grad_accum_dtype, param_dtype;  ///< "fp32", "fp16" or "bf16"
    Setting<std::string> communication_data_type;
    Optimizer optimizer;
    Scheduler scheduler;
    Fp16 fp16;
    Zero zero_optimization;
    Elasticity elasticity;
    Monitor tensorboard, csv_monitor;
    FlopsProfiler flops_profiler;
    CommsLogger comms_logger;
    Checkpointing activation_checkpointing;
    Own zeropp;

    std::string name;               ///< of the file, in messages
    std::vector<ConfigEntry> keys;  ///< every key of the file and what becomes of it
};

}  // namespace zeropp
