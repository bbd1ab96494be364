// SPDX-License-Identifier: Apache-2.0
/// \file Keys of what observes a run, and of features beside training. DeepSpeed 0.19:
/// monitor/config.py, profiling/config.py, comm/config.py, elasticity/, runtime/.
#pragma once

#include <array>

#include <zeropp/io/schema/key.hpp>

namespace zeropp::schema {

/// Functions of deepspeed/comm/comm.py.
inline constexpr std::string_view operations =
    "reduce_scatter|reduce_scatter_tensor|all_gather|all_gather_into_tensor|all_gather_coalesced|"
    "broadcast|all_to_all|all_to_all_single|send|recv|barrier|monitored_barrier|all_reduce|"
    "all_reduce_coalesced|inference_all_reduce|reduce|gather|scatter";
inline constexpr std::string_view monitors = "use csv_monitor, tensorboard or --log-jsonl";

// clang-format off
inline constexpr std::array features{
    block("zeropp"),  // our own; DeepSpeed reads no unknown key of the top level
    choice("zeropp.optimizer_states", "\"fp32\"", "fp32|bf16|8bit", honoured, "how moments are kept"),
    choice("zeropp.reduce", "\"by_stage\"", "by_stage|every_micro_step|once_a_step", honoured, "when gradients are reduced; by stage: once a step at 0 and 1, every micro-step at 2 and 3"),
    flag("zeropp.no_decay_on_norms", "false", honoured, "no weight decay on norms and biases"),
    flag("zeropp.recompute", "false", honoured, "blocks are computed again in backward"),

    block("activation_checkpointing"),
    flag("activation_checkpointing.partition_activations", "false", honoured, "true: blocks are computed again in backward"),
    flag("activation_checkpointing.cpu_checkpointing", "false", honoured, "true: blocks are computed again in backward"),
    flag("activation_checkpointing.contiguous_memory_optimization", "false", harmless, "activations always lie in one arena"),
    flag("activation_checkpointing.synchronize_checkpoint_boundary", "false", harmless, "nothing to wait for"),
    flag("activation_checkpointing.profile", "false", harmless, "wall_clock_breakdown has the times"),
    whole("activation_checkpointing.number_checkpoints", "null", honoured, "given: blocks are computed again in backward"),
    block("flops_profiler"),
    flag("flops_profiler.enabled", "false", honoured, "a report of one step's operations, measured"),
    number("flops_profiler.recompute_fwd_factor", "0.0", harmless, "what is computed again is measured"),
    whole("flops_profiler.profile_step", "1", honoured, "the step").from(1),
    whole("flops_profiler.module_depth", "-1", honoured, "of modules shown; -1: all").range(-1, largest_whole),
    whole("flops_profiler.top_modules", "1", honoured, "modules shown in the summary"),
    flag("flops_profiler.detailed", "true", honoured, "a line for each module"),
    text("flops_profiler.output_file", "null", honoured, "instead of standard output"),
    block("comms_logger"),
    flag("comms_logger.enabled", "false", honoured, "counts, bytes and bandwidth of each operation"),
    flag("comms_logger.prof_all", "true", honoured, "all operations"),
    words("comms_logger.prof_ops", "[]", operations, honoured, "these operations"),
    flag("comms_logger.verbose", "false", honoured, "a line for each call"),
    flag("comms_logger.debug", "false", harmless, "no names of callers"),
    block("tensorboard"),
    flag("tensorboard.enabled", "false", honoured, "event files"),
    text("tensorboard.output_path", "\"\"", honoured, "a folder"),
    text("tensorboard.job_name", "\"DeepSpeedJobName\"", honoured, "a folder in it"),
    block("csv_monitor"),
    flag("csv_monitor.enabled", "false", honoured, "a file for each number"),
    text("csv_monitor.output_path", "\"\"", honoured, "a folder"),
    text("csv_monitor.job_name", "\"DeepSpeedJobName\"", honoured, "a folder in it"),
    block("wandb"),
    flag("wandb.enabled", "false", unsupported, monitors),
    any("wandb.*", "", harmless, "wandb is off"),
    block("comet"),
    flag("comet.enabled", "false", unsupported, monitors),
    any("comet.*", "", harmless, "comet is off"),
    block("timers"),
    block("timers.throughput"),
    flag("timers.throughput.enabled", "true", harmless, "examples and tokens a second are always shown"),
    flag("timers.throughput.synchronized", "true", harmless, "times are of whole steps"),

    block("elasticity"),
    flag("elasticity.enabled", "false", honoured, "the batch follows from the number of ranks"),
    whole("elasticity.max_train_batch_size", "", honoured, "examples a step at most").range(1, 1e9),
    row("elasticity.micro_batch_sizes", Kind::wholes, "", honoured, "a rank's micro-batches to choose from").range(1, 1e6),
    whole("elasticity.min_gpus", "1", honoured, "ranks at least").range(1, 1e6),
    whole("elasticity.max_gpus", "10000", honoured, "ranks at most").range(1, 1e6),
    whole("elasticity.num_gpus_per_node", "1", honoured, "ranks a node").range(1, 1e6),
    whole("elasticity.model_parallel_size", "1", unsupported, "a rank has the whole model; leave it 1").from(1),
    number("elasticity.min_time", "0", harmless, "of a scheduler"),
    flag("elasticity.prefer_larger_batch", "true", honoured, "where several are as good"),
    flag("elasticity.ignore_non_elastic_batch_info", "false", honoured, "the batch keys beside it are not read"),
    number("elasticity.version", "0.2", honoured, "0.1 or 0.2"),

    block("checkpoint"),
    choice("checkpoint.tag_validation", "\"Warn\"", "Warn|Ignore|Fail", harmless, "a model is written by rank 0"),
    flag("checkpoint.load_universal", "false", unsupported, "models are read from a Hugging Face directory"),
    flag("checkpoint.use_node_local_storage", "false", harmless, "a model is written by rank 0"),
    flag("checkpoint.checkpoint_serialization", "true", harmless, "safetensors"),
    any("checkpoint.parallel_write", "", harmless, "a model is written by rank 0"),
    any("checkpoint.writer", "", harmless, "a model is written by rank 0"),
    block("nebula"),
    flag("nebula.enabled", "false", unsupported, "models are saved at the end of a run"),
    any("nebula.*", "", harmless, "nebula is off"),
    any("datastates_ckpt", "", unsupported, "models are saved at the end of a run"),
    block("aio"),
    any("aio.*", "", harmless, "of NVMe, which is not used"),
    any("pipeline", "", unsupported, "there is no pipeline; leave it out").unless("{}|\"auto\""),
    block("tensor_parallel"),
    whole("tensor_parallel.autotp_size", "0", unsupported, "tensors are not divided; leave it 0").unless("0|1"),
    block("tensor_parallel.tp"),
    whole("tensor_parallel.tp.tp_size", "1", unsupported, "tensors are not divided; leave it 1").unless("0|1"),
    any("tensor_parallel.tp.*", "", harmless, "tensor_parallel is off"),
    any("tensor_parallel.*", "", harmless, "tensor_parallel is off"),
    any("sequence_parallel_size", "1", unsupported, "sequences are not divided; leave it 1"),
    block("compile"),
    flag("compile.deepcompile", "false", harmless, "the program is compiled already"),
    any("compile.*", "", harmless, "the program is compiled already"),
    block("hybrid_engine"),
    flag("hybrid_engine.enabled", "false", unsupported, "training and generation are two programs"),
    any("hybrid_engine.*", "", harmless, "hybrid_engine is off"),
    block("autotuning"),
    flag("autotuning.enabled", "false", unsupported, "zeropp-plan says what fits"),
    any("autotuning.*", "", harmless, "autotuning is off"),
    block("progressive_layer_drop"),
    flag("progressive_layer_drop.enabled", "false", unsupported, "all layers are trained"),
    any("progressive_layer_drop.*", "", harmless, "progressive_layer_drop is off"),
    block("eigenvalue"),
    flag("eigenvalue.enabled", "false", unsupported, "of compression, which there is none"),
    any("eigenvalue.*", "", harmless, "eigenvalue is off"),
    block("data_efficiency"),
    flag("data_efficiency.enabled", "false", unsupported, "every example is used as it is; sort or filter the file"),
    any("data_efficiency.*", "", harmless, "data_efficiency is off"),
    block("curriculum_learning"),
    flag("curriculum_learning.enabled", "false", unsupported, "every example is used as it is; sort or filter the file"),
    any("curriculum_learning.*", "", harmless, "curriculum_learning is off"),
    any("compression_training", "", unsupported, "models are trained whole; leave it out").unless("{}"),
    any("weight_quantization", "", unsupported, "models are trained whole; leave it out").unless("{}"),
    any("quantize_training", "", unsupported, "models are trained whole; leave it out").unless("{}"),
    any("sparse_attention", "", unsupported, "attention is dense; leave it out").unless("{}"),
    block("expert_parallel"),
    flag("expert_parallel.enabled", "false", unsupported, "there are no experts"),
    any("expert_parallel.*", "", harmless, "expert_parallel is off"),
};
// clang-format on

}  // namespace zeropp::schema
