// SPDX-License-Identifier: Apache-2.0
/// \file What a training run tells, and the interface of those who listen.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <zeropp/core/phase_clock.hpp>

namespace zeropp {

struct StartEvent {
    std::string what{};      ///< one line: the model, the ranks, the stage, the precision
    std::int64_t steps = 0;  ///< optimizer steps that the run will take
    std::vector<std::uint64_t> planned_bytes{};  ///< of each rank
    bool ranks_share_process = false;  ///< then the process's peak stands beside the planned sum
};

/// One optimizer step.
struct StepEvent {
    std::int64_t step = 0;  ///< the first is 1
    double loss = 0;        ///< mean over ranks and micro-steps
    float lr = 0;
    double gradient_norm = 0;        ///< before clipping
    double seconds = 0;              ///< wall time, from the end of the step before
    std::int64_t tokens = 0;         ///< source and target tokens of all ranks, without padding
    bool skipped = false;            ///< a gradient was not finite: the weights are as before
    std::string non_finite{};        ///< if skipped: the first such tensor, and the rank if known
    std::int64_t skipped_steps = 0;  ///< so far, this one included
    std::int64_t samples = 0;        ///< examples of all ranks so far
    double loss_scale = 0;           ///< of this step's backward pass; 0: without one
    PhaseTimes phases{};             ///< of the rank that tells; all zero if not measured
};

/// The mean over all labels of a set of examples.
struct EvaluationEvent {
    std::int64_t step = 0;  ///< after this many optimizer steps
    double loss = 0;
    std::int64_t tokens = 0;  ///< labels
    std::int64_t examples = 0;
    double seconds = 0;
    std::int64_t samples = 0;  ///< examples of all ranks that the steps before have taken
};

struct EndEvent {
    std::int64_t steps = 0;    ///< optimizer steps taken, the skipped ones included
    std::int64_t skipped = 0;  ///< of them: a gradient was not finite
    double seconds = 0;
    bool stopped = false;  ///< before the last step
    const char* stopped_by = "a signal";
    std::vector<std::uint64_t> peak_rss_bytes{};  ///< of each process
    std::vector<std::uint64_t> planned_bytes{};   ///< of each rank
    std::vector<std::uint64_t> bytes_sent{};      ///< of each rank
};

/// Listens to a run. Called on one thread, in order: start, steps and evaluations, end.
class Sink {
public:
    virtual ~Sink() = default;
    virtual void on(const StartEvent&) {}
    virtual void on(const StepEvent&) {}
    virtual void on(const EvaluationEvent&) {}
    virtual void on(const EndEvent&) {}
};

inline double tokens_per_second(const StepEvent& event) {
    return event.seconds > 0 ? static_cast<double>(event.tokens) / event.seconds : 0;
}

}  // namespace zeropp
