// SPDX-License-Identifier: Apache-2.0
/// \example linear_fit.cpp  Your own arrays as a model: two numbers and a gradient, four ranks.
// expect: y = 3 x \+ 0\.5
#include <iostream>
#include <random>
#include <vector>

#include <zeropp/comm/thread.hpp>
#include <zeropp/trainer.hpp>

namespace zp = zeropp;

int main() {
    zp::run_ranks(4, [](zp::ThreadComm comm) {
        std::vector<float> weights(2), gradients(2);  // y = weights[0] * x + weights[1]
        zp::Spans model{weights, gradients};          // borrows both
        zp::Trainer trainer{model, comm, zp::zero<2>, zp::Sgd{.lr = 0.1f}};

        std::mt19937 random(static_cast<unsigned>(comm.rank()));  // every rank sees its own data
        std::uniform_real_distribution<float> uniform(-1, 1);
        for (int step = 0; step < 500; ++step) {
            const float x = uniform(random);
            const float error = weights[0] * x + weights[1] - (3.0f * x + 0.5f);
            gradients[0] = 2 * error * x;
            gradients[1] = 2 * error;
            trainer.step();  // averages, updates my shard, gathers
        }
        if (comm.rank() == 0) std::cout << "y = " << weights[0] << " x + " << weights[1] << '\n';
    });
}
