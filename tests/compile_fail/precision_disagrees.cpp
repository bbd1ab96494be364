// expect: zeropp: the precision given to Trainer disagrees with the model's element type
// SPDX-License-Identifier: Apache-2.0
#include "setting.hpp"

void wrong() { zp::Trainer trainer{model, comm, zp::bf16}; }
