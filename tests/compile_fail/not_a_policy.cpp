// expect: zeropp: every further argument of Trainer must be a stage
// SPDX-License-Identifier: Apache-2.0
#include "setting.hpp"

struct LearningRate {
    float lr;
};

void wrong() { zp::Trainer trainer{model, comm, LearningRate{0.1f}}; }
