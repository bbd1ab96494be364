// SPDX-License-Identifier: Apache-2.0
/// \file Keys of batches, precision, optimizer and schedule. DeepSpeed 0.19: runtime/config.py,
/// runtime/precision_config.py, runtime/lr_schedules.py.
#pragma once

#include <array>

#include <zeropp/io/schema/key.hpp>

namespace zeropp::schema {

inline constexpr std::string_view
    adams = "Adam|AdamW",
    moments = "Adam|AdamW|Lamb|Lion|Muon|OneBitAdam|ZeroOneAdam|OneBitLamb|MuAdam|MuAdamW";
inline constexpr std::string_view warmups = "WarmupLR|WarmupDecayLR|WarmupCosineLR";
inline constexpr std::string_view dtypes = "fp32|fp16|bf16|float32|float16|bfloat16|float|half";
/// Types of optimizers that zeropp has, and others that DeepSpeed has.
inline constexpr std::string_view optimizers = "Adam|AdamW|Lamb|Lion|Adagrad|SGD|Adafactor";
inline constexpr std::string_view other_optimizers =
    "Muon|OneBitAdam|ZeroOneAdam|OneBitLamb|MuAdam|MuAdamW|MuSGD";
inline constexpr std::string_view every_optimizer =
    "Adam|AdamW|Lamb|Lion|Adagrad|SGD|Adafactor|Muon|OneBitAdam|ZeroOneAdam|OneBitLamb|MuAdam|"
    "MuAdamW|MuSGD";
inline constexpr std::string_view one_cycle = "OneCycle", range_test = "LRRangeTest";

// clang-format off
inline constexpr std::array training{
    whole("train_batch_size", "", honoured, "examples a step, of all ranks").from(1).or_auto(),
    whole("train_micro_batch_size_per_gpu", "", honoured, "examples a micro-step of one rank").from(1).or_auto(),
    whole("gradient_accumulation_steps", "1", honoured, "micro-steps a step").from(1).or_auto(),
    flag("managed_gradient_accumulation", "true", unsupported, "the trainer counts micro-steps"),
    whole("steps_per_print", "", honoured, "steps between two lines of progress").from(1).or_auto(),
    number("gradient_clipping", "1.0", honoured, "of the norm over all ranks; 0 is off").or_auto(),
    flag("prescale_gradients", "false", harmless, "the mean over ranks is formed in fp32, where nothing overflows"),
    number("gradient_predivide_factor", "1.0", harmless, "the mean over ranks is formed in fp32, where nothing overflows").from(1e-30),
    choice("gradient_allreduce_op", "\"mean\"", "mean|sum", unsupported, "gradients are averaged; multiply the learning rate instead").unless("\"mean\""),
    choice("communication_data_type", "null", "fp16|fp32|bf16", honoured, "the model's type, or fp32: what 16 bits hold is summed in fp32; a sum of micro-steps that is reduced once is rounded to the model's type first"),
    choice("seq_parallel_communication_data_type", "\"fp32\"", "fp16|fp32|bf16", harmless, "there is no sequence parallelism"),
    flag("sparse_gradients", "false", unsupported, "gradients of embeddings are dense"),
    flag("disable_allgather", "false", harmless, "DeepSpeed does not read it either"),
    flag("dump_state", "false", honoured, "prints the configuration, the layout and the plan at the start"),
    flag("zero_allow_untested_optimizer", "false", harmless, "every optimizer is tested with every stage"),
    flag("zero_force_ds_cpu_optimizer", "true", harmless, "there is one kind of each optimizer"),
    flag("wall_clock_breakdown", "false", honoured, "a table of where the time of a step goes"),
    flag("memory_breakdown", "false", honoured, "planned bytes beside measured ones"),
    flag("dataloader_drop_last", "false", harmless, "as if true: an epoch has whole steps, what is left over is left out"),
    whole("vocabulary_size", "null", harmless, "a hint for speed on GPUs"),
    flag("graph_harvesting", "false", harmless, "a hint for speed on GPUs"),
    flag("use_data_before_expert_parallelism", "false", harmless, "there are no experts"),
    whole("allgather_size", "5e8", harmless, "of a boolean zero_optimization; buckets have 2^20 elements at most"),
    text("log_level", "null", harmless, "messages are lines of progress and errors"),

    block("fp16"),
    flag("fp16.enabled", "false", honoured, "16-bit parameters, fp32 master, scaled loss").or_auto(),
    flag("fp16.auto_cast", "false", harmless, "inputs are token ids"),
    number("fp16.loss_scale", "0", honoured, "fixed; 0 is dynamic").or_auto(),
    whole("fp16.initial_scale_power", "16", honoured, "the first dynamic scale is two to this power").range(-14, 127).or_auto(),
    whole("fp16.loss_scale_window", "1000", honoured, "steps without overflow until it is doubled").from(1).or_auto(),
    whole("fp16.hysteresis", "2", honoured, "overflows until it is halved").from(1).or_auto(),
    flag("fp16.consecutive_hysteresis", "false", honoured, "a step without overflow restores the hysteresis"),
    number("fp16.min_loss_scale", "1", honoured, "an overflow there ends the run").from(1e-30).or_auto(),
    flag("fp16.fp16_master_weights_and_grads", "false", unsupported, "masters are fp32"),
    block("bf16"),
    flag("bf16.enabled", "false", honoured, "16-bit parameters, an fp32 master of 16 bits more").or_auto(),
    flag("bf16.immediate_grad_update", "false", harmless, "gradients are reduced while backward goes on in any case"),
    flag("bf16.check_grad_overflow", "true", unsupported, "steps that are not finite are skipped in every precision; leave it true"),
    flag("bf16.bf16_master_weights_and_grads", "false", unsupported, "masters are fp32"),
    flag("bf16.bf16_optimizer_states", "false", honoured, "moments in bf16, rounded by chance"),
    block("bfloat16"),
    flag("bfloat16.enabled", "false", honoured, "the older name of bf16.enabled").or_auto(),
    flag("bfloat16.immediate_grad_update", "false", harmless, "the older name of bf16.immediate_grad_update"),
    flag("bfloat16.check_grad_overflow", "true", unsupported, "steps that are not finite are skipped in every precision; leave it true"),
    flag("bfloat16.bf16_master_weights_and_grads", "false", unsupported, "masters are fp32"),
    flag("bfloat16.bf16_optimizer_states", "false", honoured, "the older name of bf16.bf16_optimizer_states"),
    block("data_types"),
    choice("data_types.grad_accum_dtype", "null", dtypes, honoured, "fp32 or the model's type, in every stage"),
    choice("data_types.param_dtype", "null", dtypes, honoured, "must be what fp16 and bf16 say"),
    choice("data_types.buffer_dtype", "null", dtypes, harmless, "models have no buffers"),
    block("amp"),
    flag("amp.enabled", "false", unsupported, "of apex; use \"bf16\" or \"fp16\"").or_auto(),
    others("amp.*", "opt_level|cast_model_type|patch_torch_functions|keep_batchnorm_fp32|master_weights|cast_model_outputs|num_losses|verbosity|min_loss_scale|max_loss_scale", "amp is off"),
    block("torch_autocast"),
    flag("torch_autocast.enabled", "false", unsupported, "of PyTorch; use \"bf16\" or \"fp16\""),
    text("torch_autocast.dtype", "\"bfloat16\"", harmless, "torch_autocast is off"),
    any("torch_autocast.lower_precision_safe_modules", "", harmless, "torch_autocast is off"),

    block("optimizer"),
    choice("optimizer.type", "null", every_optimizer, honoured, "in any case; Adam is AdamW unless adam_w_mode is false"),
    flag("optimizer.legacy_fusion", "false", harmless, "updates are fused"),
    block("optimizer.params"),
    number("optimizer.params.lr", "1e-3", honoured, "the learning rate, where no schedule says another").only_of("AdamW|Adam|Lamb|Lion|SGD|Muon|OneBitAdam|ZeroOneAdam|OneBitLamb|MuAdam|MuAdamW|MuSGD").or_auto(),
    number("optimizer.params.lr", "1e-2", honoured, "the learning rate, where no schedule says another").only_of("Adagrad").or_auto(),
    number("optimizer.params.lr", "null", honoured, "the learning rate; none with relative_step").only_of("Adafactor").or_auto(),
    row("optimizer.params.betas", Kind::two_numbers, "[0.9, 0.999]", honoured, "of the moments").range(0, below_one).only_of(moments).or_auto(),
    number("optimizer.params.eps", "1e-8", honoured, "added to the denominator").only_of("Adam|AdamW|Lamb|Muon|OneBitAdam|ZeroOneAdam|OneBitLamb|MuAdam|MuAdamW").or_auto(),
    number("optimizer.params.eps", "1e-10", honoured, "added to the denominator").only_of("Adagrad").or_auto(),
    row("optimizer.params.eps", Kind::two_numbers, "[1e-30, 1e-3]", honoured, "of squares, and the least scale of a tensor").only_of("Adafactor").or_auto(),
    number("optimizer.params.weight_decay", "0", honoured, "decoupled; in the gradient of Adam where adam_w_mode is false, and of Adagrad and SGD; 0.01 with torch_adam").only_of(every_optimizer).or_auto(),
    flag("optimizer.params.bias_correction", "true", honoured, "of the moments").only_of("Adam|AdamW|Lamb"),
    flag("optimizer.params.adam_w_mode", "true", honoured, "false: Adam's weight decay is in the gradient; AdamW's never is").only_of(adams),
    flag("optimizer.params.torch_adam", "false", honoured, "PyTorch's default of weight_decay, 0.01, where it is decoupled").only_of(adams),
    flag("optimizer.params.fused", "false", harmless, "the same numbers").only_of("Adam|AdamW|SGD|Adagrad"),
    flag("optimizer.params.foreach", "null", harmless, "the same numbers").only_of("Adam|AdamW|SGD|Adagrad"),
    flag("optimizer.params.set_grad_none", "true", harmless, "gradients are freed as soon as they are reduced").only_of("Adam|AdamW|Lion"),
    flag("optimizer.params.capturable", "false", harmless, "of CUDA graphs").only_of("Adam|AdamW"),
    flag("optimizer.params.differentiable", "false", unsupported, "an update has no gradient").only_of("Adam|AdamW|SGD|Adagrad"),
    flag("optimizer.params.amsgrad", "false", unsupported, "AdamW without it").only_of("Adam|AdamW|Lamb"),
    flag("optimizer.params.fp32_optimizer_states", "true", honoured, "false: moments in bf16").only_of(adams),
    flag("optimizer.params.maximize", "false", honoured, "steps up the gradient").only_of("Adam|AdamW|SGD|Adagrad"),
    number("optimizer.params.momentum", "0", honoured, "0 keeps none").only_of("SGD").range(0, below_one),
    number("optimizer.params.dampening", "0", honoured, "of the momentum").only_of("SGD").range(0, 1),
    flag("optimizer.params.nesterov", "false", honoured, "needs momentum and no dampening").only_of("SGD"),
    number("optimizer.params.lr_decay", "0", honoured, "lr / (1 + (step - 1) * lr_decay)").only_of("Adagrad"),
    number("optimizer.params.initial_accumulator_value", "0", unsupported, "sums of squares begin at 0").only_of("Adagrad"),
    number("optimizer.params.max_coeff", "10", honoured, "the greatest trust").only_of("Lamb"),
    number("optimizer.params.min_coeff", "0.01", honoured, "the least trust").only_of("Lamb"),
    flag("optimizer.params.eps_inside_sqrt", "false", honoured, "m / sqrt(v + eps)").only_of("Lamb"),
    number("optimizer.params.clip_threshold", "1", honoured, "the greatest RMS of an update").only_of("Adafactor").from(1e-30),
    number("optimizer.params.decay_rate", "-0.8", honoured, "squares are averaged with 1 - step^decay_rate").only_of("Adafactor").range(-10, below_zero),
    number("optimizer.params.beta1", "null", honoured, "a first moment; none without").only_of("Adafactor").range(0, below_one),
    flag("optimizer.params.scale_parameter", "true", honoured, "rates in units of a tensor's RMS").only_of("Adafactor"),
    flag("optimizer.params.relative_step", "true", honoured, "min(0.01, 1 / sqrt(step)) for a rate; false where lr is given").only_of("Adafactor"),
    flag("optimizer.params.warmup_init", "false", honoured, "1e-6 * step at first").only_of("Adafactor"),
    number("optimizer.params.max_grad_norm", "0", unsupported, "use gradient_clipping").unless("0").only_of(optimizers),
    any("optimizer.params.*", "", harmless, "the type is not supported").only_of(other_optimizers),

    block("scheduler"),
    choice("scheduler.type", "null", "WarmupLR|WarmupDecayLR|WarmupCosineLR|OneCycle|LRRangeTest", honoured, "step for step DeepSpeed's"),
    block("scheduler.params"),
    number("scheduler.params.warmup_min_lr", "0", honoured, "the first rate").only_of("WarmupLR|WarmupDecayLR").or_auto(),
    number("scheduler.params.warmup_max_lr", "null", honoured, "the last rate of the warm-up; the optimizer's own where absent").only_of("WarmupLR").or_auto(),
    number("scheduler.params.warmup_max_lr", "1e-3", honoured, "the last rate of the warm-up").only_of("WarmupDecayLR").or_auto(),
    whole("scheduler.params.warmup_num_steps", "1000", honoured, "counts as 2 at least").only_of(warmups).or_auto(),
    choice("scheduler.params.warmup_type", "\"log\"", "log|linear", honoured, "the shape of the warm-up").only_of(warmups),
    whole("scheduler.params.total_num_steps", "", honoured, "where the decay ends").only_of("WarmupDecayLR|WarmupCosineLR").from(1).or_auto(),
    number("scheduler.params.warmup_min_ratio", "0", honoured, "of the optimizer's rate").only_of("WarmupCosineLR"),
    number("scheduler.params.cos_min_ratio", "1e-4", honoured, "of the optimizer's rate").only_of("WarmupCosineLR"),
    whole("scheduler.params.last_batch_iteration", "-1", unsupported, "a schedule begins with the training").range(-1, largest_whole),
    number("scheduler.params.lr_range_test_min_lr", "1e-3", honoured, "the first rate").only_of(range_test),
    whole("scheduler.params.lr_range_test_step_size", "2000", honoured, "steps of one rise").only_of(range_test).from(1),
    number("scheduler.params.lr_range_test_step_rate", "1", honoured, "of a rise").only_of(range_test),
    flag("scheduler.params.lr_range_test_staircase", "false", honoured, "rises at once").only_of(range_test),
    number("scheduler.params.cycle_min_lr", "", honoured, "at both ends").only_of(one_cycle),
    number("scheduler.params.cycle_max_lr", "", honoured, "in the middle").only_of(one_cycle),
    number("scheduler.params.decay_lr_rate", "0", honoured, "after the cycle").only_of(one_cycle),
    whole("scheduler.params.cycle_first_step_size", "2000", honoured, "steps up").only_of(one_cycle).from(1),
    whole("scheduler.params.cycle_second_step_size", "null", honoured, "steps down; as many as up").only_of(one_cycle).from(1),
    whole("scheduler.params.cycle_first_stair_count", "0", honoured, "stairs up; 0: smooth").only_of(one_cycle),
    whole("scheduler.params.cycle_second_stair_count", "null", honoured, "stairs down; as many as up").only_of(one_cycle),
    whole("scheduler.params.decay_step_size", "0", honoured, "steps of one decay; 0: none").only_of(one_cycle),
    flag("scheduler.params.cycle_momentum", "true", honoured, "the first beta the other way; nothing with SGD, Adagrad and Adafactor").only_of(one_cycle),
    number("scheduler.params.cycle_min_mom", "0.8", honoured, "in the middle").only_of(one_cycle).range(0, below_one),
    number("scheduler.params.cycle_max_mom", "0.9", honoured, "at both ends").only_of(one_cycle).range(0, below_one),
    number("scheduler.params.decay_mom_rate", "0", honoured, "after the cycle").only_of(one_cycle),
};
// clang-format on

}  // namespace zeropp::schema
