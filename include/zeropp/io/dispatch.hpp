// SPDX-License-Identifier: Apache-2.0
/// \file From a configuration read at run time to policy types, the only such place.
/// Precision, stage and optimizer become types; everything else is a value.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <utility>

#include <zeropp/core/precision.hpp>
#include <zeropp/io/config.hpp>
#include <zeropp/optim/adamw.hpp>
#include <zeropp/zero/options.hpp>
#include <zeropp/zero/stage.hpp>

namespace zeropp {

inline BatchSizes batch_sizes(const Config& config, int ranks) {
    return batch_sizes(config.train_batch_size, config.train_micro_batch_size_per_gpu,
                       config.gradient_accumulation_steps, ranks);
}

/// Bucket sizes of the file are upper bounds: the engine's own stands where it is smaller.
inline Buckets buckets_of(const Config& config) {
    const auto& zero = config.zero_optimization;
    const auto own = static_cast<std::int64_t>(Buckets{}.elements);
    return {static_cast<std::size_t>(std::min(
        {zero.reduce_bucket_size.value_or(own), zero.allgather_bucket_size.value_or(own), own}))};
}

/// Calls fn(bf16) or fn(fp32).
template <class Fn>
decltype(auto) with_precision(const Config& config, Fn&& fn) {
    require_supported(config);
    return config.bf16.value_or(false) ? fn(bf16) : fn(fp32);
}

/// Calls fn(zero<N>), N = 0 where the file has no stage.
template <class Fn>
decltype(auto) with_stage(const Config& config, Fn&& fn) {
    switch (config.zero_optimization.stage.value_or(0)) {
        case 0:
            return fn(zero<0>);
        case 1:
            return fn(zero<1>);
        case 2:
            return fn(zero<2>);
        default:
            return fn(zero<3>);
    }
}

/// Calls fn(AdamW{...}), which "Adam" is too, as in DeepSpeed; its defaults (weight_decay 0, lr
/// 1e-3).
template <class Fn>
decltype(auto) with_optimizer(const Config& config, Fn&& fn) {
    const auto betas = config.optimizer.betas.value_or({0.9, 0.999});
    return fn(AdamW{.lr = static_cast<float>(config.optimizer.lr.value_or(1e-3)),
                    .beta1 = static_cast<float>(betas[0]),
                    .beta2 = betas[1],
                    .eps = static_cast<float>(config.optimizer.eps.value_or(1e-8)),
                    .weight_decay = static_cast<float>(config.optimizer.weight_decay.value_or(0))});
}

/// Calls fn(stage, optimizer, clipping, accumulation, buckets): the trainer's policies but the
/// precision, which is the model's, and the schedule, which the file does not say.
template <class Fn>
decltype(auto) with_policies(const Config& config, int ranks, Fn&& fn) {
    const BatchSizes sizes = batch_sizes(config, ranks);
    const ClipNorm clip{static_cast<float>(config.gradient_clipping.value_or(1.0))};
    const Accumulation accumulation{.steps = static_cast<int>(sizes.accumulation)};
    return with_stage(config, [&](auto stage) -> decltype(auto) {
        return with_optimizer(config, [&](auto optimizer) -> decltype(auto) {
            return fn(stage, optimizer, clip, accumulation, buckets_of(config));
        });
    });
}

/// Calls fn(precision, stage, optimizer, clipping, accumulation, buckets).
template <class Fn>
decltype(auto) with_config(const Config& config, int ranks, Fn&& fn) {
    return with_precision(config, [&](auto precision) -> decltype(auto) {
        return with_policies(config, ranks, [&](auto... policies) -> decltype(auto) {
            return fn(precision, std::move(policies)...);
        });
    });
}
template <class Fn>
decltype(auto) with_config(const std::filesystem::path& file, int ranks, Fn&& fn) {
    return with_config(read_config(file), ranks, std::forward<Fn>(fn));
}

}  // namespace zeropp
