// expect: zeropp: an optimizer has at most two slots
// SPDX-License-Identifier: Apache-2.0
#include "setting.hpp"

struct ThreeSlots {
    float lr = 0;
    static constexpr std::string_view name = "three";
    static constexpr std::array<std::string_view, 3> slots{"a", "b", "c"};
    zp::Rates rates() const { return {.lr = lr}; }
    zp::Rates constants(zp::StepContext now) const { return now.rates; }
    static float update(const zp::Rates&, float p, float, std::array<float, 3>&) { return p; }
};

void wrong() {
    zp::Trainer trainer{model, comm, ThreeSlots{}};
    trainer.step();
}
