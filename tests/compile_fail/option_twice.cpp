// expect: zeropp: the same option given twice to Trainer; pass it once
// SPDX-License-Identifier: Apache-2.0
#include "setting.hpp"

void wrong() { zp::Trainer trainer{model, comm, zp::ClipNorm{1.0f}, zp::ClipNorm{2.0f}}; }
