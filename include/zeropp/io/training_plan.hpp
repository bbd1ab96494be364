// SPDX-License-Identifier: Apache-2.0
/// \file A training planned before it is started: every stage in every precision, and the largest
/// micro-batch of each that a device holds.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <zeropp/core/byte_size.hpp>
#include <zeropp/core/error.hpp>
#include <zeropp/core/precision.hpp>
#include <zeropp/zero/rank_plan.hpp>

namespace zeropp {

struct PlanRequest {
    PlanSetup setup;
    std::vector<DType> precisions{DType::fp32, DType::bf16};
    std::size_t micro_batch = 8;    ///< examples
    std::size_t device_memory = 0;  ///< bytes for a rank; 0: not asked
    bool recomputes = false;        ///< the model can: plan with and without
    /// Bytes of activations; grows with the micro-batch.
    std::function<std::size_t(DType, std::size_t micro_batch, bool recompute)> activations;
};

/// One rank in one way to run.
struct PlannedRun {
    int stage = 0;
    DType precision = DType::fp32;
    bool recompute = false;
    MemoryPlan memory;  ///< the rows of `Trainer::plan`
    StepBytes sent;
    std::size_t state = 0;                ///< all rows but the activations
    std::size_t largest_micro_batch = 0;  ///< 0: not one example fits, or nobody asked

    std::string name() const {
        return "stage " + std::to_string(stage) + ", " + std::string{name_of(precision)} +
               (recompute ? ", recomputing" : "");
    }
};

/// No larger micro-batch is looked for.
inline constexpr std::size_t largest_planned_micro_batch = 1 << 14;

namespace detail {

/// Each answer is computed once.
class ActivationBytes {
public:
    explicit ActivationBytes(const PlanRequest& request) : request_{request} {}

    std::size_t operator()(DType precision, bool recompute, std::size_t micro_batch) {
        const auto [at, is_new] = known_.try_emplace({{precision, recompute}, micro_batch}, 0);
        if (is_new) at->second = request_.activations(precision, micro_batch, recompute);
        return at->second;
    }
    std::size_t largest_within(DType precision, bool recompute, std::size_t bytes) {
        const auto fits = [&](std::size_t micro_batch) {
            return (*this)(precision, recompute, micro_batch) <= bytes;
        };
        std::size_t fitting = 0, next = 1;
        while (next <= largest_planned_micro_batch && fits(next))
            fitting = std::exchange(next, 2 * next);
        for (std::size_t step = fitting / 2; step > 0 && next <= largest_planned_micro_batch;
             step /= 2)
            if (fits(fitting + step)) fitting += step;
        return fitting;
    }

private:
    const PlanRequest& request_;
    std::map<std::pair<std::pair<DType, bool>, std::size_t>, std::size_t> known_;
};

}  // namespace detail

/// By precision, without and with recomputation, and stage.
inline std::vector<PlannedRun> plan_runs(const PlanRequest& request) {
    require(request.micro_batch > 0, Errc::config, "plan: micro-batch is 0, expected at least 1");
    detail::ActivationBytes activations{request};
    const Layout layout = request.setup.layout();
    std::vector<PlannedRun> runs;
    for (const DType precision : request.precisions)
        for (const bool recompute : {false, true}) {
            if (recompute && !request.recomputes) continue;
            for (int stage = 0; stage < 4; ++stage) {
                RankPlan rank = rank_plan(request.setup, layout, stage_flags(stage), precision);
                PlannedRun run{stage, precision, recompute, std::move(rank.memory), rank.sent};
                run.state = run.memory.total();
                run.memory.add("activations",
                               activations(precision, recompute, request.micro_batch));
                if (run.state < request.device_memory)
                    run.largest_micro_batch = activations.largest_within(
                        precision, recompute, request.device_memory - run.state);
                runs.push_back(std::move(run));
            }
        }
    return runs;
}

/// Refuses a device that holds none of the runs with a micro-batch of 1: says by how much, and what
/// would fit.
inline void require_one_fits(const PlanRequest& request, const std::vector<PlannedRun>& runs) {
    const auto fits = [](const PlannedRun& run) { return run.largest_micro_batch > 0; };
    if (request.device_memory == 0 || runs.empty() || std::any_of(runs.begin(), runs.end(), fits))
        return;
    const auto least_of = [&](const PlannedRun& run) {
        return run.state + request.activations(run.precision, 1, run.recompute);
    };
    const PlannedRun* least = &runs.front();
    for (const PlannedRun& run : runs)
        if (least_of(run) < least_of(*least)) least = &run;

    // More ranks help until their padding costs more than they share.
    const std::size_t needed = least_of(*least), activations = needed - least->state;
    std::size_t best = needed;
    std::string where;
    for (PlanSetup wider = request.setup; best > request.device_memory && wider.ranks <= 1 << 15;) {
        wider.ranks *= 2;
        const Layout layout = wider.layout();
        for (int stage = 0; stage < 4; ++stage) {
            const std::size_t bytes =
                rank_plan(wider, layout, stage_flags(stage), least->precision).memory.total() +
                activations;
            if (bytes >= best) continue;
            best = bytes;
            where =
                "on " + std::to_string(wider.ranks) + " ranks at stage " + std::to_string(stage);
        }
    }
    fail(Errc::config, "plan: a rank takes at least ", byte_size_text(needed), " (", least->name(),
         ", micro-batch 1), expected at most ", byte_size_text(request.device_memory), ", ",
         byte_size_text(needed - request.device_memory), " less; ",
         best <= request.device_memory ? "it would fit " + where
         : best < needed
             ? where + " it would still take " + byte_size_text(best) + ", use shorter sequences"
             : "more ranks do not help, use shorter sequences");
}

}  // namespace zeropp
