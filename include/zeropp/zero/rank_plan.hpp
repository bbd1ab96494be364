// SPDX-License-Identifier: Apache-2.0
/// \file What one rank will take and send, from the engine's own arithmetic, before there is a
/// communicator, a weight or a trainer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include <zeropp/core/plan.hpp>
#include <zeropp/core/precision.hpp>
#include <zeropp/device/arena.hpp>
#include <zeropp/device/host.hpp>
#include <zeropp/model/concepts.hpp>
#include <zeropp/optim/adamw.hpp>
#include <zeropp/optim/rule.hpp>
#include <zeropp/zero/layout.hpp>
#include <zeropp/zero/options.hpp>
#include <zeropp/zero/plan.hpp>

namespace zeropp {

/// Bytes that one rank sends in a step that updates: what `Communicator::bytes_sent` counts.
struct StepBytes {
    std::uint64_t gradients = 0;   ///< reduce_scatter, and in stage 0 the all_gather of its result
    std::uint64_t parameters = 0;  ///< all_gather: after the update, or (stage 3) before each use
    std::uint64_t told = 0;        ///< norms, loss and tokens, and what the optimizer measures

    std::uint64_t total() const noexcept { return gradients + parameters + told; }
};

/// `how` and `optimizer` as the trainer has them. What is frozen is neither reduced nor published;
/// stage 3 gathers all: what is resident or forward only once a micro-step, the rest twice.
inline StepBytes step_bytes(const Layout& layout, StageFlags stage, const GradientPlan& how,
                            const OptimizerPlan& optimizer) {
    const std::uint64_t peers = layout.topology().shard - 1;
    const auto micro_steps = static_cast<std::uint64_t>(how.micro_steps);
    const std::uint64_t element = size_of(how.element);
    StepBytes bytes;
    for (const Bucket& bucket : layout.buckets()) {
        const std::uint64_t sent = peers * bucket.shard,
                            gathered = sent + peers * bucket.frozen_shard;
        const std::uint64_t gathers = bucket.resident || bucket.forward_only ? 1 : 2;
        if (stage.shards_parameters) bytes.parameters += gathers * micro_steps * gathered * element;
        if (!bucket.trainable) continue;
        bytes.gradients += (how.every ? micro_steps : 1) * sent * element;
        if (!stage.shards_optimizer) bytes.gradients += sent * size_of(how.type);
        if (stage.shards_optimizer && !stage.shards_parameters) bytes.parameters += sent * element;
    }
    bytes.told = peers * sizeof(double) * StatePlan::step_doubles(layout);
    for (const std::size_t doubles : optimizer.rounds)
        bytes.told += peers * sizeof(double) * doubles;
    return bytes;
}

/// What is planned for, but for the stage and the precision.
struct PlanSetup {
    std::vector<Unit> units;
    std::size_t ranks = 1;
    AnyOptimizer optimizer = AdamW{};
    EngineOptions options{};
    /// `workspace_bytes` of the communicator; none needs no memory of its own.
    std::function<std::size_t(std::size_t)> workspace{};

    Layout layout() const {
        return {units, Topology{.shard = ranks}, options.get<Buckets>().elements};
    }
};

struct RankPlan {
    MemoryPlan memory;  ///< all rows of `Trainer::plan` but the activations
    StepBytes sent;
};

/// `layout`: the setup's.
inline RankPlan rank_plan(const PlanSetup& setup, const Layout& layout, StageFlags stage,
                          DType precision) {
    EngineOptions options = setup.options;
    if (auto& type = options.get<Gradients>().type;
        type && *type != DType::fp32 && *type != precision)
        type.reset();  // of another precision
    const GradientPlan how{stage, precision, options};
    const OptimizerPlan optimizer{*setup.optimizer.make_rule({}), layout, setup.units,
                                  setup.options.get<OptimizerStates>()};
    const StatePlan state{layout, stage, how, optimizer};
    std::size_t workspace = 0;
    if (setup.workspace)
        workspace =
            Arena<Host>::rounded(setup.workspace(state.largest_reduced * size_of(how.element))) *
            StatePlan::in_flight;
    return {state.table(workspace), step_bytes(layout, stage, how, optimizer)};
}

/// A stage known at run time.
inline StageFlags stage_flags(int stage) {
    require(0 <= stage && stage <= 3, Errc::config, "plan: stage is ", stage, ", expected 0 to 3");
    return {stage >= 1, stage >= 2, stage >= 3};
}

}  // namespace zeropp
