// SPDX-License-Identifier: Apache-2.0
/// \file `Step`: what one call of `Trainer::step` did.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include <zeropp/core/error.hpp>
#include <zeropp/optim/concepts.hpp>

namespace zeropp {

struct Step {
    std::int64_t index = 0;  ///< optimizer steps done, this one included if `updated`
    bool updated = false;    ///< false within accumulation, and where the step was skipped
    bool skipped = false;    ///< gradients were not finite: nothing was changed
    /// Where `skipped`: the first such tensor; and the rank, if its loss was not finite or the step
    /// before was skipped too.
    std::string non_finite{};
    double loss =
        0;  ///< mean over ranks and micro-steps; of this rank's micro-batch within accumulation
    std::int64_t tokens = 0;   ///< labels counted, over all ranks and micro-steps
    double gradient_norm = 0;  ///< unscaled, before clipping
    float loss_scale = 1;      ///< of this step's backward passes; 1 but in fp16
    Rates rates{};             ///< of the parameters that are in no group
};

/// Of a step that was skipped and after which no other is expected to be finite: what it would have
/// returned. The weights are as they were before it.
class NonFiniteError : public Error {
public:
    NonFiniteError(const std::string& what, Step step)
        : Error{Errc::numeric, what}, step_{std::move(step)} {}
    const Step& step() const noexcept { return step_; }

private:
    Step step_;
};

}  // namespace zeropp
