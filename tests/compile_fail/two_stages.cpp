// expect: zeropp: two stages given to Trainer; pass one of zero<0> .. zero<3>
// SPDX-License-Identifier: Apache-2.0
#include "setting.hpp"

void wrong() { zp::Trainer trainer{model, comm, zp::zero<1>, zp::zero<2>}; }
