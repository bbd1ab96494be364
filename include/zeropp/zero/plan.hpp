// SPDX-License-Identifier: Apache-2.0
/// \file The state of one rank in bytes, by stage: the arithmetic that the arenas are made from.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include <zeropp/core/master_split.hpp>
#include <zeropp/core/plan.hpp>
#include <zeropp/core/precision.hpp>
#include <zeropp/device/arena.hpp>
#include <zeropp/device/host.hpp>
#include <zeropp/optim/rule.hpp>
#include <zeropp/zero/layout.hpp>
#include <zeropp/zero/options.hpp>
#include <zeropp/zero/slots.hpp>
#include <zeropp/zero/stage.hpp>

namespace zeropp {

/// A stage as values, so that one program can plan for all of them.
struct StageFlags {
    bool shards_optimizer = false, shards_gradients = false, shards_parameters = false;
};
template <Stage S>
inline constexpr StageFlags flags_of{S::shards_optimizer, S::shards_gradients,
                                     S::shards_parameters};

/// How gradients are held, decided once from the policies.
struct GradientPlan {
    DType element = DType::fp32;  ///< of the wire
    DType type = DType::fp32;     ///< of reduced and accumulated values
    int micro_steps = 1;
    bool every = false;      ///< reduce each micro-step (only with micro_steps > 1)
    bool in_place = false;   ///< the gradient array is the wire buffer: nothing is staged
    bool local_sum = false;  ///< the whole sum is kept on each rank and reduced once a step
    bool full = false;       ///< the gradient array holds all elements, not this rank's shards

    GradientPlan() = default;
    GradientPlan(StageFlags stage, DType element_type, const EngineOptions& options)
        : element{element_type}, micro_steps{options.get<Accumulation>().steps} {
        type = options.get<Gradients>().type.value_or(micro_steps == 1 ? element : DType::fp32);
        require(type == element || type == DType::fp32, Errc::config, "Gradients: type is ",
                name_of(type), ", expected fp32 or the element type ", name_of(element));
        using Reduce = Accumulation::Reduce;
        const Reduce reduce = options.get<Accumulation>().reduce;
        const bool wants_every = reduce == Reduce::by_stage ? stage.shards_gradients
                                                            : reduce == Reduce::every_micro_step;
        every = micro_steps > 1 && wants_every;
        local_sum = micro_steps > 1 && !every;
        in_place = micro_steps == 1 && type == element && !stage.shards_gradients;
        full = in_place || local_sum || !stage.shards_optimizer;
    }
};

/// What an optimizer takes beside the parameters.
struct OptimizerPlan {
    std::vector<Slot> slots;            ///< in the formats that they are kept in
    std::size_t tensor_bytes = 0;       ///< of what every rank knows of whole tensors
    std::vector<std::size_t> rounds{};  ///< doubles that a rank tells the others, one after another

    OptimizerPlan() = default;
    OptimizerPlan(const Rule& rule, const Layout& layout, const std::vector<Unit>& units,
                  OptimizerStates states) {
        for (Slot slot : rule.slots()) {
            if (slot.format == SlotFormat::float32) slot.format = states.format;
            slots.push_back(slot);
        }
        rounds.resize(rule.rounds());
        for (const Bucket& bucket : layout.buckets())
            for (const Segment& segment : bucket.segments) {
                if (!segment.trainable) continue;
                const Tensor2d tensor = tensor_of(units, segment);
                std::size_t sums = 0;
                for (std::size_t r = 0; r < rounds.size(); ++r) {
                    sums += rule.sums(r, tensor);
                    rounds[r] += rule.sums(r, tensor);
                }
                tensor_bytes += Arena<Host>::rounded(rule.kept(tensor) * sizeof(float)) +
                                Arena<Host>::rounded(sums * sizeof(double));
            }
    }

    static Tensor2d tensor_of(const std::vector<Unit>& units, const Segment& segment) {
        const auto& shape = units[segment.unit].parameters[segment.parameter].shape;
        if (shape.size() < 2) return {.rows = 0, .columns = segment.size};
        return {.rows = segment.size / shape.back(), .columns = shape.back()};
    }
};

/// Bytes of each arena, and of the buffers that rotate inside them.
struct StatePlan {
    static constexpr std::size_t rotating = 2;   ///< staging and gather buffers
    static constexpr std::size_t in_flight = 2;  ///< reductions at once

    std::size_t parameters = 0, gathered = 0, gradients = 0, staging = 0, exchange = 0;
    std::size_t tensors = 0;
    MasterRow master;                    ///< of all elements that this rank updates
    std::vector<MemoryPlan::Row> slots;  ///< in the optimizer's order
    std::size_t largest_bucket = 0;      ///< elements, padded, of the buckets that rotate
    std::size_t largest_reduced = 0;     ///< active elements of the trainable buckets
    std::size_t doubles = 0;             ///< that a rank can tell the others at once

    StatePlan(const Layout& layout, StageFlags stage, const GradientPlan& plan,
              const OptimizerPlan& optimizer)
        : tensors{optimizer.tensor_bytes}, master{master_row(plan.element).name} {
        for (const Slot& slot : optimizer.slots) slots.push_back({std::string{slot.name}, 0});
        const std::size_t ranks = layout.topology().shard;
        const std::size_t element = size_of(plan.element), gradient = size_of(plan.type);
        const auto rounded = [](std::size_t bytes) { return Arena<Host>::rounded(bytes); };
        for (const Bucket& bucket : layout.buckets()) {
            const std::size_t owned = stage.shards_optimizer ? bucket.shard : bucket.active;
            parameters += rounded(
                (stage.shards_parameters ? bucket.shard + bucket.frozen_shard : bucket.padded) *
                element);
            if (!bucket.resident) largest_bucket = std::max(largest_bucket, bucket.padded);
            if (stage.shards_parameters && bucket.resident)
                gathered += rounded(bucket.padded * element);
            if (!bucket.trainable) continue;
            largest_reduced = std::max(largest_reduced, bucket.active);
            gradients += rounded((plan.full ? bucket.active : bucket.shard) * gradient);
            master.bytes += rounded(owned * master_row(plan.element).bytes);
            for (std::size_t s = 0; s < slots.size(); ++s)
                slots[s].bytes += rounded(slot_bytes(optimizer.slots[s].format, owned));
            if (!plan.in_place && bucket.resident)
                staging += staging_bytes(bucket.active, bucket.shard, plan);
        }
        if (stage.shards_parameters) gathered += rotating * rounded(largest_bucket * element);
        if (!plan.in_place && largest_rotating(layout) != 0)
            staging += rotating * staging_bytes(largest_rotating(layout),
                                                largest_rotating(layout) / ranks, plan);
        doubles = step_doubles(layout);
        for (const std::size_t round : optimizer.rounds) doubles = std::max(doubles, round);
        exchange = rounded(sizeof(double) * doubles) + rounded(sizeof(double) * doubles * ranks);
    }

    /// What each rank tells the others at the end of a step: a partial norm a bucket, the loss
    /// and the tokens. A skipped step tells the first tensor that is not finite in the first.
    static std::size_t step_doubles(const Layout& layout) { return layout.buckets().size() + 2; }

    /// The wire buffer and, where reductions add to an earlier micro-step's, their result.
    static std::size_t staging_bytes(std::size_t active, std::size_t shard,
                                     const GradientPlan& plan) {
        return Arena<Host>::rounded(active * size_of(plan.element)) +
               (plan.every ? Arena<Host>::rounded(shard * size_of(plan.type)) : 0);
    }
    static std::size_t largest_rotating(const Layout& layout) {
        std::size_t most = 0;
        for (const Bucket& bucket : layout.buckets())
            if (bucket.trainable && !bucket.resident) most = std::max(most, bucket.active);
        return most;
    }

    MemoryPlan table(std::size_t workspace) const {
        MemoryPlan rows;
        rows.add("parameters", parameters);
        if (gathered != 0) rows.add("gathered parameters", gathered);
        rows.add("gradients", gradients);
        if (staging != 0) rows.add("gradient staging", staging);
        if (master.bytes != 0) rows.add(std::string{master.name}, master.bytes);
        for (const MemoryPlan::Row& slot : slots) rows.add(slot.name, slot.bytes);
        if (tensors != 0) rows.add("whole-tensor statistics", tensors);
        rows.add("communication", exchange + workspace);
        return rows;
    }
};

/// Refuses `total` bytes above the limit: says by how many, and which stages would fit.
template <class TotalOf>
void require_within(MemoryLimit limit, int rank, std::size_t total, TotalOf total_of) {
    if (limit.bytes == 0 || total <= limit.bytes) return;
    std::string stages;
    const StageFlags all[] = {flags_of<Zero<0>>, flags_of<Zero<1>>, flags_of<Zero<2>>,
                              flags_of<Zero<3>>};
    for (int n = 0; n < 4; ++n)
        if (total_of(all[n]) <= limit.bytes)
            stages += (stages.empty() ? "" : ", ") + std::to_string(n);
    fail(Errc::device, "Trainer: the plan of rank ", rank, " is ", total,
         " bytes, expected at most ", limit.bytes, " (", total - limit.bytes, " too many); ",
         stages.empty() ? "no stage would fit, use more ranks or a smaller model"
                        : "it would fit with stage " + stages);
}

}  // namespace zeropp
