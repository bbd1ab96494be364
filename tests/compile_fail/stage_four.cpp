// expect: zeropp: a ZeRO stage is 0, 1, 2 or 3
// SPDX-License-Identifier: Apache-2.0
#include "setting.hpp"

void wrong() { zp::Trainer trainer{model, comm, zp::zero<4>}; }
