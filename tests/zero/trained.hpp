// SPDX-License-Identifier: Apache-2.0
/// \file The combinations that the engine's tests train, compiled once (in
/// stage_equivalence_test.cpp).
#pragma once

#include "zero/training.hpp"

namespace zeropp::testing {

#define ZEROPP_TRAINED_STAGES(PREFIX, OPTIMIZER, ELEMENT)                                  \
    PREFIX template Result train<Zero<0>, OPTIMIZER, ELEMENT>(const Settings&, OPTIMIZER); \
    PREFIX template Result train<Zero<1>, OPTIMIZER, ELEMENT>(const Settings&, OPTIMIZER); \
    PREFIX template Result train<Zero<2>, OPTIMIZER, ELEMENT>(const Settings&, OPTIMIZER); \
    PREFIX template Result train<Zero<3>, OPTIMIZER, ELEMENT>(const Settings&, OPTIMIZER);
#define ZEROPP_TRAINED(PREFIX)                  \
    ZEROPP_TRAINED_STAGES(PREFIX, AdamW, float) \
    ZEROPP_TRAINED_STAGES(PREFIX, AdamW, Bf16)  \
    ZEROPP_TRAINED_STAGES(PREFIX, MomentumSgd, float)

ZEROPP_TRAINED(extern)

}  // namespace zeropp::testing
