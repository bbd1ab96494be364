// expect: zeropp: two schedules given to Trainer; pass one
// SPDX-License-Identifier: Apache-2.0
#include "setting.hpp"

void wrong() { zp::Trainer trainer{model, comm, zp::Constant{}, zp::WarmupLR{}}; }
