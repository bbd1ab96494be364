// expect: zeropp: the optimizer given to the constructor differs from the one in the trainer's type
// SPDX-License-Identifier: Apache-2.0
#include "setting.hpp"

void wrong() { zp::Trainer<zp::Spans, zp::SelfComm, zp::AdamW> trainer{model, comm, zp::Sgd{}}; }
