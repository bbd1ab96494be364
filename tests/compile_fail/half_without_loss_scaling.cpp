// expect: zeropp: fp16 needs dynamic loss scaling, which this version lacks
// SPDX-License-Identifier: Apache-2.0
#include "setting.hpp"

void wrong() {
    ModelOf<zp::Half> half;
    zp::Trainer trainer{half, comm};
}
