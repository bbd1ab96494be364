// expect: zeropp: zero<3> drops parameters between uses, which a model over your own arrays cannot
// do SPDX-License-Identifier: Apache-2.0
#include "setting.hpp"

void wrong() { zp::Trainer trainer{model, comm, zp::zero<3>}; }
