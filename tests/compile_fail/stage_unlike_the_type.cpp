// expect: zeropp: the stage given to the constructor differs from the one in the trainer's type
// SPDX-License-Identifier: Apache-2.0
#include "setting.hpp"

void wrong() {
    zp::Trainer<zp::Spans, zp::SelfComm, zp::Zero<1>> trainer{model, comm, zp::zero<2>};
}
