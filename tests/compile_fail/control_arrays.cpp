// expect: compiles
// SPDX-License-Identifier: Apache-2.0
#include "setting.hpp"

void right() {
    zp::Trainer trainer{model,
                        comm,
                        zp::zero<2>,
                        zp::AdamW{},
                        zp::WarmupLR{},
                        zp::ClipNorm{1.0f},
                        zp::Accumulation{},
                        zp::fp32};
    trainer.step();
}
