// expect: zeropp: two precisions given to Trainer; pass one of fp32, bf16, fp16
// SPDX-License-Identifier: Apache-2.0
#include "setting.hpp"

void wrong() { zp::Trainer trainer{model, comm, zp::fp32, zp::bf16}; }
