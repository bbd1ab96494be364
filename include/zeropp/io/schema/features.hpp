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
inline constexpr std::string_view as_it_is =
    "every example is used as it is; sort or filter the file";
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
    whole("activation_checkpointing.number_checkpoints", "null", honoured, "more than 0: blocks are computed again in backward"),
    block("flops_profiler"),
    flag("flops_profiler.enabled", "false", honoured, "a report of one step's operations, measured"),
    number("flops_profiler.recompute_fwd_factor", "0.0", harmless, "what is computed again is measured"),
    whole("flops_profiler.profile_step", "1", honoured, "after so many steps; the last step if there are no more").from(1),
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
    others("wandb.*", "group|team|project", "wandb is off"),
    block("comet"),
    flag("comet.enabled", "false", unsupported, monitors),
    others("comet.*", "samples_log_interval|project|workspace|api_key|experiment_name|experiment_key|online|mode", "comet is off"),
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
    others("nebula.*", "persistent_storage_path|persistent_time_interval|num_of_version_in_retention|enable_nebula_load|nebula_load_path", "nebula is off"),
    any("datastates_ckpt", "", unsupported, "models are saved at the end of a run"),
    block("aio"),
    others("aio.*", "block_size|queue_depth|intra_op_parallelism|thread_count|single_submit|overlap_events|use_gds", "of NVMe, which is not used"),
    any("pipeline", "", unsupported, "there is no pipeline; leave it out").unless("{}|\"auto\""),
    block("tensor_parallel"),
    whole("tensor_parallel.autotp_size", "0", unsupported, "tensors are not divided; leave it 0").unless("0|1"),
    block("tensor_parallel.tp"),
    whole("tensor_parallel.tp.tp_size", "1", unsupported, "tensors are not divided; leave it 1").unless("0|1"),
    others("tensor_parallel.tp.*", "enabled|tp_grain_size|mpu|tp_group", "tensor_parallel is off"),
    others("tensor_parallel.*", "dtype|tp_overlap_comm|tensor_parallel|injection_policy_tuple|partition_config|preset_model|keep_module_on_host|kernel_inject|replace_with_kernel_inject", "tensor_parallel is off"),
    any("sequence_parallel_size", "1", unsupported, "sequences are not divided; leave it 1"),
    block("compile"),
    flag("compile.deepcompile", "false", harmless, "the program is compiled already"),
    others("compile.*", "free_activation|free_activation_threshold|offload_activation|offload_activation_pin_memory|offload_opt_states|offload_parameters|double_buffer|symmetric_memory|debug_log|sync_before_reduce|sync_after_reduce|sync_before_allgather|sync_after_allgather|keep_int_input_tensors|keep_all_input_tensors|passes", "the program is compiled already"),
    block("hybrid_engine"),
    flag("hybrid_engine.enabled", "false", unsupported, "training and generation are two programs"),
    others("hybrid_engine.*", "max_out_tokens|inference_tp_size|release_inference_cache|pin_parameters|tp_gather_partition_size|enable_cuda_graph", "hybrid_engine is off"),
    block("autotuning"),
    flag("autotuning.enabled", "false", unsupported, "zeropp-plan says what fits"),
    others("autotuning.*", "fast|results_dir|exps_dir|overwrite|start_profile_step|end_profile_step|metric|metric_path|tuner_type|tuner_early_stopping|tuner_num_trials|arg_mappings|model_info|model_info_path|mp_size|max_train_batch_size|min_train_batch_size|max_train_micro_batch_size_per_gpu|min_train_micro_batch_size_per_gpu|num_tuning_micro_batch_sizes", "autotuning is off"),
    block("progressive_layer_drop"),
    flag("progressive_layer_drop.enabled", "false", unsupported, "all layers are trained"),
    others("progressive_layer_drop.*", "theta|gamma", "progressive_layer_drop is off"),
    block("eigenvalue"),
    flag("eigenvalue.enabled", "false", unsupported, "of compression, which there is none"),
    others("eigenvalue.*", "verbose|max_iter|tol|stability|gas_boundary_resolution|layer_name|layer_num", "eigenvalue is off"),
    block("data_efficiency"),
    flag("data_efficiency.enabled", "false", unsupported, as_it_is),
    whole("data_efficiency.seed", "1234", harmless, "data_efficiency is off"),
    block("data_efficiency.data_sampling"),  // DeepSpeed acts on the inner ones whatever the outer one says
    flag("data_efficiency.data_sampling.enabled", "false", unsupported, as_it_is),
    others("data_efficiency.data_sampling.*", "num_epochs|num_workers|pin_memory", "data_efficiency is off"),
    block("data_efficiency.data_sampling.curriculum_learning"),
    flag("data_efficiency.data_sampling.curriculum_learning.enabled", "false", unsupported, as_it_is),
    any("data_efficiency.data_sampling.curriculum_learning.*", "", harmless, "it is off"),
    block("data_efficiency.data_sampling.dynamic_batching"),
    flag("data_efficiency.data_sampling.dynamic_batching.enabled", "false", unsupported, "a batch is a number of examples"),
    others("data_efficiency.data_sampling.dynamic_batching.*", "metrics_path|lr_scaling_method|min_batch_size|max_batch_size|sequence_picking_order|max_tokens|verbose", "it is off"),
    block("data_efficiency.data_routing"),
    flag("data_efficiency.data_routing.enabled", "false", unsupported, "every token passes every layer"),
    block("data_efficiency.data_routing.random_ltd"),
    flag("data_efficiency.data_routing.random_ltd.enabled", "false", unsupported, "every token passes every layer"),
    any("data_efficiency.data_routing.random_ltd.*", "", harmless, "it is off"),
    block("curriculum_learning"),
    flag("curriculum_learning.enabled", "false", unsupported, as_it_is),
    others("curriculum_learning.*", "curriculum_type|min_difficulty|max_difficulty|schedule_type|schedule_config", "curriculum_learning is off"),
    any("compression_training", "", unsupported, "models are trained whole; leave it out").unless("{}"),
    any("weight_quantization", "", unsupported, "models are trained whole; leave it out").unless("{}"),
    any("quantize_training", "", unsupported, "models are trained whole; leave it out").unless("{}"),
    any("sparse_attention", "", unsupported, "attention is dense; leave it out").unless("{}"),
    block("expert_parallel"),
    flag("expert_parallel.enabled", "false", unsupported, "there are no experts"),
    others("expert_parallel.*", "autoep_size|expert_tensor_parallel_size|validate_folding_routing|preset_model|moe_layer_pattern|expert_pattern|router_pattern|use_grouped_mm|disable_triton_grouped_mm|route_norm|route_scale|score_apply|combine_impl|num_expert_groups|num_limited_groups|score_func|top_k|load_balance_coeff|routed_scaling_factor|expert_w1|expert_w2|expert_w3|num_experts_attr|top_k_attr|has_shared_experts|shared_experts_pattern|shared_experts_gate_pattern", "expert_parallel is off"),
};
// clang-format on

}  // namespace zeropp::schema
