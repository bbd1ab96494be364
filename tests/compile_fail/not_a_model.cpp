// expect: zeropp: the first argument of Trainer must be a model
// SPDX-License-Identifier: Apache-2.0
#include "setting.hpp"

void wrong() { zp::Trainer trainer{weights, comm}; }
