// expect: zeropp: the second argument of Trainer must be a communicator
// SPDX-License-Identifier: Apache-2.0
#include "setting.hpp"

void wrong() { zp::Trainer trainer{model, weights}; }
