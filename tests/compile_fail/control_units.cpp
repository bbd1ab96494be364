// expect: compiles
// SPDX-License-Identifier: Apache-2.0
#include "setting.hpp"

void right() {
    ModelOf<zp::Bf16> units;
    zp::Trainer trainer{units, comm, zp::AdamW{}, zp::bf16, zp::zero<3>};
    trainer.step(Sample{});
}
