// SPDX-License-Identifier: Apache-2.0
/// \file An event as named numbers, called as DeepSpeed's monitors call them.
#pragma once

#include <charconv>
#include <iterator>
#include <string_view>
#include <vector>

#include <zeropp/observe/events.hpp>

namespace zeropp {

struct Metric {
    std::string_view name;  ///< parts between slashes
    double value;
};

/// 0.001 where a float is what 0.001 is rounded to.
inline double as_written(float value) {
    char digits[32];
    const auto end = std::to_chars(digits, std::end(digits), value).ptr;
    double read = static_cast<double>(value);
    std::from_chars(digits, end, read);
    return read;
}

/// Of one step, at x = `event.samples`. The loss scale and the phases where there are any: then
/// "backward" is "backward_inner" and "backward_allreduce" together, and the step's time is that of
/// the update.
inline std::vector<Metric> metrics_of(const StepEvent& event) {
    std::vector<Metric> metrics{{"Train/Samples/train_loss", event.loss},
                                {"Train/Samples/lr", as_written(event.lr)}};
    if (event.loss_scale > 0) metrics.push_back({"Train/Samples/loss_scale", event.loss_scale});
    metrics.push_back({"Train/Samples/gradient_norm", event.gradient_norm});
    metrics.push_back({"Train/Samples/tokens_per_second", tokens_per_second(event)});
    metrics.push_back({"Train/Samples/skipped_steps", static_cast<double>(event.skipped_steps)});
    if (event.phases.total() > 0) {
        const auto ms = [&](Phase phase) { return 1e3 * event.phases.of(phase); };
        const double inner = ms(Phase::backward), reduction = ms(Phase::reduction);
        metrics.push_back({"Train/Samples/elapsed_time_ms_forward", ms(Phase::forward)});
        metrics.push_back({"Train/Samples/elapsed_time_ms_backward", inner + reduction});
        metrics.push_back({"Train/Samples/elapsed_time_ms_backward_inner", inner});
        metrics.push_back({"Train/Samples/elapsed_time_ms_backward_allreduce", reduction});
        metrics.push_back({"Train/Samples/elapsed_time_ms_step", ms(Phase::update)});
        metrics.push_back({"Train/Samples/elapsed_time_ms_gather", ms(Phase::gather)});
        metrics.push_back({"Train/Samples/elapsed_time_ms_data", ms(Phase::data)});
    }
    return metrics;
}
inline std::vector<Metric> metrics_of(const EvaluationEvent& event) {
    return {{"Validation/Samples/loss", event.loss}};
}

}  // namespace zeropp
