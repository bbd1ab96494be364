// SPDX-License-Identifier: Apache-2.0
/// \example two_ranks_mpi.cpp  A line fitted by processes: mpirun -n 2 two_ranks_mpi
// expect: y = 3 x \+ 0\.5, 2 ranks, [0-9]+ bytes sent by each
#include <iostream>
#include <random>
#include <vector>

#include <zeropp/comm/mpi.hpp>
#include <zeropp/trainer.hpp>

namespace zp = zeropp;

int main() {
    zp::run_mpi_ranks([](zp::MpiComm comm) {  // a rank that throws ends them all
        std::vector<float> weights(2), gradients(2);
        zp::Spans model{weights, gradients};
        zp::Trainer trainer{model, comm, zp::zero<2>, zp::Sgd{.lr = 0.1f}};

        std::mt19937 random(static_cast<unsigned>(comm.rank()));
        std::uniform_real_distribution<float> uniform(-1, 1);
        for (int step = 0; step < 500; ++step) {
            const float x = uniform(random);
            const float error = weights[0] * x + weights[1] - (3.0f * x + 0.5f);
            gradients[0] = 2 * error * x;
            gradients[1] = 2 * error;
            trainer.step();
        }
        if (comm.rank() == 0)
            std::cout << "y = " << weights[0] << " x + " << weights[1] << ", " << comm.size()
                      << " ranks, " << comm.bytes_sent() << " bytes sent by each\n";
    });
}
