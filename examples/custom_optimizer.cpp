// SPDX-License-Identifier: Apache-2.0
/// \example custom_optimizer.cpp  An optimizer of your own: hyper-parameters, the names of its
/// memory, and the update of one element. Sharding, clipping and precision come with the trainer.
// expect: signum: 1\.00 -2\.00 0\.50
#include <cmath>
#include <cstdio>
#include <vector>

#include <zeropp/comm/thread.hpp>
#include <zeropp/trainer.hpp>

namespace zp = zeropp;

/// signSGD with momentum: Bernstein et al., "signSGD", ICML 2018, algorithm 2.
struct Signum {
    float lr = 1e-2f;
    float beta = 0.9f;

    static constexpr std::string_view name = "signum";
    static constexpr std::array<zp::Slot, 1> slots{"momentum"};

    zp::Rates rates() const { return {.lr = lr, .momentum = beta}; }
    zp::Rates constants(zp::StepContext now) const { return now.rates; }
    static float update(const zp::Rates& now, float p, float g, zp::SlotValues<1>& slot) {
        slot[0] = std::fma(now.momentum, slot[0] - g, g);
        return p - std::copysign(now.lr, slot[0]);
    }
};
static_assert(zp::Optimizer<Signum>);

int main() {
    const std::vector<float> goal{1, -2, 0.5f};
    zp::run_ranks(2, [&](zp::ThreadComm comm) {
        std::vector<float> weights(3), gradients(3);
        zp::Spans model{weights, gradients};
        zp::Trainer trainer{model, comm, zp::zero<1>, Signum{.lr = 0.05f},
                            zp::WarmupLinear{.warmup = 0, .total = 400}};
        for (int step = 0; step < 400; ++step) {
            for (std::size_t i = 0; i < 3; ++i) gradients[i] = weights[i] - goal[i];
            trainer.step();
        }
        if (comm.rank() == 0)
            std::printf("signum: %.2f %.2f %.2f\n", weights[0], weights[1], weights[2]);
    });
}
