// expect: zeropp: two optimizers given to Trainer; pass one
// SPDX-License-Identifier: Apache-2.0
#include "setting.hpp"

void wrong() { zp::Trainer trainer{model, comm, zp::Sgd{}, zp::AdamW{}}; }
