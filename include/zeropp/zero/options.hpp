// SPDX-License-Identifier: Apache-2.0
/// \file The policies that are values: they change what a step does, not the trainer's type.
#pragma once

#include <cstddef>
#include <optional>

#include <zeropp/core/error.hpp>
#include <zeropp/core/precision.hpp>
#include <zeropp/optim/concepts.hpp>

namespace zeropp {

/// Gradients are scaled by max_norm / (norm + 1e-6) where that is below 1; 0 switches it off.
struct ClipNorm {
    float max_norm = 1.0f;

    void check() const { detail::require_at_least_0("ClipNorm", "max_norm", max_norm); }
};

/// `steps` micro-steps a step. Reducing every micro-step keeps only this rank's shard of the sum;
/// reducing once a step keeps the whole sum and sends less.
struct Accumulation {
    enum class Reduce { by_stage, every_micro_step, once_a_step };

    int steps = 1;
    Reduce reduce = Reduce::by_stage;  ///< once for stages 0 and 1, every for 2 and 3
};

/// The type that reduced gradients are rounded to and accumulated in. Default: the element type
/// with one micro-step a step, fp32 with more.
struct Gradients {
    std::optional<DType> type;
};

/// Upper bound of the elements that small units share a bucket up to.
struct Buckets {
    std::size_t elements = std::size_t{1} << 20;
};

/// A step whose gradients are not finite is skipped on all ranks; so many in a row end the run.
struct SkipNonFinite {
    int most_in_a_row = 10;

    void check() const {
        require(most_in_a_row >= 1, Errc::config, "SkipNonFinite: most_in_a_row is ", most_in_a_row,
                ", expected at least 1");
    }
};

/// Refuse to start if this rank's plan is larger. 0: no limit.
struct MemoryLimit {
    std::size_t bytes = 0;
};

struct EngineOptions {
    ClipNorm clip;
    Accumulation accumulation;
    Gradients gradients;
    Buckets buckets;
    SkipNonFinite skip;
    MemoryLimit memory;
};

}  // namespace zeropp
