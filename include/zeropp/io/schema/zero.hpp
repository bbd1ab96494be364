// SPDX-License-Identifier: Apache-2.0
/// \file Keys of zero_optimization. DeepSpeed 0.19: runtime/zero/config.py, offload_config.py.
#pragma once

#include <array>

#include <zeropp/io/schema/key.hpp>

namespace zeropp::schema {

inline constexpr std::string_view offload =
    "state stays on the device; use a higher stage, more ranks or --optimizer-states";
inline constexpr std::string_view one_rank_order = "shards are in the order of the parameters";

// clang-format off
inline constexpr std::array zero_optimization{
    block("zero_optimization"),
    whole("zero_optimization.stage", "0", honoured, "what is sharded: nothing, optimizer, gradients too, parameters too").range(0, 3),
    flag("zero_optimization.contiguous_gradients", "true", harmless, "gradients always are"),
    flag("zero_optimization.reduce_scatter", "true", harmless, "gradients always are reduced by it"),
    whole("zero_optimization.reduce_bucket_size", "5e8", honoured, "an upper bound; buckets have 2^20 elements at most").from(1).or_auto(),
    flag("zero_optimization.use_multi_rank_bucket_allreduce", "true", harmless, "nothing is all-reduced"),
    flag("zero_optimization.allgather_partitions", "true", harmless, "DeepSpeed does not read it either"),
    whole("zero_optimization.allgather_bucket_size", "5e8", honoured, "an upper bound; buckets have 2^20 elements at most").from(1).or_auto(),
    flag("zero_optimization.overlap_comm", "null", harmless, "communication always overlaps").or_auto(),
    flag("zero_optimization.load_from_fp32_weights", "true", harmless, "masters begin as the model's file has them"),
    flag("zero_optimization.elastic_checkpoint", "false", harmless, "saved models do not depend on the number of ranks"),
    flag("zero_optimization.round_robin_gradients", "false", harmless, one_rank_order),
    flag("zero_optimization.ignore_unused_parameters", "true", harmless, "what nothing depends on has gradient zero"),
    flag("zero_optimization.legacy_stage1", "false", unsupported, "DeepSpeed refuses it too; leave it out"),
    whole("zero_optimization.sub_group_size", "1e9", harmless, "buckets are updated one after another").or_auto(),
    whole("zero_optimization.stage3_prefetch_bucket_size", "5e7", harmless, "the next unit is prefetched").or_auto(),
    whole("zero_optimization.stage3_param_persistence_threshold", "1e5", harmless, "shared units stay from first to last use, others go").or_auto(),
    whole("zero_optimization.stage3_model_persistence_threshold", "", harmless, "shared units stay from first to last use, others go"),
    whole("zero_optimization.stage3_max_live_parameters", "1e9", harmless, "two units beside the shared ones").or_auto(),
    whole("zero_optimization.stage3_max_reuse_distance", "1e9", harmless, "two units beside the shared ones").or_auto(),
    flag("zero_optimization.stage3_gather_16bit_weights_on_model_save", "false", harmless, "a saved model always is whole").or_auto(),
    flag("zero_optimization.stage3_gather_fp16_weights_on_model_save", "false", harmless, "the older name of stage3_gather_16bit_weights_on_model_save; a saved model always is whole"),
    whole("zero_optimization.stage3_module_granularity_threshold", "0", harmless, "units are the model's blocks"),
    flag("zero_optimization.stage3_use_all_reduce_for_fetch_params", "false", harmless, "the same values by all_gather"),
    flag("zero_optimization.stage3_allgather_sequential", "false", harmless, "the same values"),
    whole("zero_optimization.prefetch_bucket_size", "5e7", harmless, "another name of stage3_prefetch_bucket_size").or_auto(),
    whole("zero_optimization.param_persistence_threshold", "1e5", harmless, "another name of stage3_param_persistence_threshold").or_auto(),
    whole("zero_optimization.model_persistence_threshold", "", harmless, "another name of stage3_model_persistence_threshold").or_auto(),
    whole("zero_optimization.max_live_parameters", "1e9", harmless, "another name of stage3_max_live_parameters").or_auto(),
    whole("zero_optimization.max_reuse_distance", "1e9", harmless, "another name of stage3_max_reuse_distance").or_auto(),
    flag("zero_optimization.gather_16bit_weights_on_model_save", "false", harmless, "another name of stage3_gather_16bit_weights_on_model_save").or_auto(),
    whole("zero_optimization.module_granularity_threshold", "0", harmless, "another name of stage3_module_granularity_threshold").or_auto(),
    flag("zero_optimization.use_all_reduce_for_fetch_params", "false", harmless, "another name of stage3_use_all_reduce_for_fetch_params").or_auto(),
    flag("zero_optimization.allgather_sequential", "false", harmless, "another name of stage3_allgather_sequential").or_auto(),
    whole("zero_optimization.zero_hpz_partition_size", "1", unsupported, "there is no secondary partition; leave it 1").unless("0|1"),
    flag("zero_optimization.zero_quantized_weights", "false", unsupported, "parameters travel in their own type"),
    flag("zero_optimization.zero_quantized_nontrainable_weights", "false", unsupported, "parameters travel in their own type"),
    flag("zero_optimization.zero_quantized_gradients", "false", unsupported, "gradients travel in the model's type"),
    any("zero_optimization.zeropp_loco_param", "null", unsupported, "gradients travel in the model's type"),
    whole("zero_optimization.mics_shard_size", "-1", unsupported, "shards are over all ranks; leave it -1").range(-1, largest_whole),
    flag("zero_optimization.mics_hierarchical_params_gather", "false", unsupported, "shards are over all ranks"),
    flag("zero_optimization.memory_efficient_linear", "true", harmless, "products keep nothing twice"),
    flag("zero_optimization.pipeline_loading_checkpoint", "false", harmless, "models are read piece by piece"),
    flag("zero_optimization.override_module_apply", "true", harmless, "of PyTorch's modules"),
    flag("zero_optimization.log_trace_cache_warnings", "false", harmless, "the order of units is recorded anew where it changes"),
    flag("zero_optimization.enable_sanity_checks", "false", harmless, "checks are always on"),
    flag("zero_optimization.save_muon_momentum_buffer_in_memory", "false", harmless, "there is no Muon"),
    block("zero_optimization.leaf_module"),
    any("zero_optimization.leaf_module.classes", "", harmless, "there are no experts"),
    any("zero_optimization.leaf_module.names", "", harmless, "there are no experts"),
    any("zero_optimization.leaf_module.name_suffixes", "", harmless, "there are no experts"),
    any("zero_optimization.zenflow", "null", unsupported, offload),
    block("zero_optimization.offload_param"),
    choice("zero_optimization.offload_param.device", "\"none\"", "none|cpu|nvme", unsupported, offload),
    text("zero_optimization.offload_param.nvme_path", "null", harmless, "nothing is offloaded"),
    whole("zero_optimization.offload_param.buffer_count", "5", harmless, "nothing is offloaded"),
    whole("zero_optimization.offload_param.buffer_size", "1e8", harmless, "nothing is offloaded"),
    whole("zero_optimization.offload_param.max_in_cpu", "1e9", harmless, "nothing is offloaded"),
    flag("zero_optimization.offload_param.pin_memory", "true", harmless, "nothing is offloaded"),
    block("zero_optimization.offload_optimizer"),
    choice("zero_optimization.offload_optimizer.device", "\"none\"", "none|cpu|nvme", unsupported, offload),
    text("zero_optimization.offload_optimizer.nvme_path", "null", harmless, "nothing is offloaded"),
    whole("zero_optimization.offload_optimizer.buffer_count", "4", harmless, "nothing is offloaded"),
    flag("zero_optimization.offload_optimizer.pin_memory", "true", harmless, "nothing is offloaded"),
    flag("zero_optimization.offload_optimizer.pipeline", "false", harmless, "nothing is offloaded"),
    flag("zero_optimization.offload_optimizer.pipeline_read", "false", harmless, "nothing is offloaded"),
    flag("zero_optimization.offload_optimizer.pipeline_write", "false", harmless, "nothing is offloaded"),
    flag("zero_optimization.offload_optimizer.fast_init", "false", harmless, "nothing is offloaded"),
    number("zero_optimization.offload_optimizer.ratio", "1.0", harmless, "nothing is offloaded").range(0, 1),
    flag("zero_optimization.offload_optimizer.super_offload", "false", harmless, "nothing is offloaded"),
    number("zero_optimization.offload_optimizer.cpuadam_cores_perc", "0.8", harmless, "nothing is offloaded").range(0, 1),
    flag("zero_optimization.cpu_offload", "false", unsupported, offload),
    flag("zero_optimization.cpu_offload_param", "false", unsupported, offload),
    flag("zero_optimization.cpu_offload_use_pin_memory", "false", harmless, "nothing is offloaded"),
};
// clang-format on

}  // namespace zeropp::schema
