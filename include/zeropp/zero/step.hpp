// SPDX-License-Identifier: Apache-2.0
/// \file `Step`: what one call of `Trainer::step` did.
#pragma once

#include <cstdint>
#include <string>

#include <zeropp/optim/concepts.hpp>

namespace zeropp {

struct Step {
    std::int64_t index = 0;    ///< optimizer steps done, this one included if `updated`
    bool updated = false;      ///< false within accumulation, and where the step was skipped
    bool skipped = false;      ///< gradients were not finite: nothing was changed
    std::string non_finite{};  ///< where `skipped`: the first such tensor
    double loss =
        0;  ///< mean over ranks and micro-steps; of this rank's micro-batch within accumulation
    std::int64_t tokens = 0;   ///< labels counted, over all ranks and micro-steps
    double gradient_norm = 0;  ///< before clipping
    Rates rates{};
};

}  // namespace zeropp
