// SPDX-License-Identifier: Apache-2.0
/// \file A program outside the project: an MPI program that trains on the communicator it has.
#include <cstdio>
#include <vector>

#include <mpi.h>

#include <zeropp/comm/mpi.hpp>
#include <zeropp/trainer.hpp>

namespace zp = zeropp;

int main(int argc, char** argv) {
    MPI_Init(&argc, &argv);
    {
        zp::MpiComm comm{MPI_COMM_WORLD};
        std::vector<float> weights(5), gradients(5);
        zp::Spans model{weights, gradients};
        zp::Trainer trainer{model, comm, zp::zero<2>, zp::Sgd{.lr = 0.5f}};
        for (int step = 0; step < 40; ++step) {  // each rank pulls towards its own number
            for (std::size_t i = 0; i < weights.size(); ++i)
                gradients[i] = weights[i] - static_cast<float>(comm.rank());
            trainer.step();
        }
        if (comm.rank() == 0)
            std::printf("%d ranks meet at %.3f\n", comm.size(), static_cast<double>(weights[4]));
    }
    MPI_Finalize();
}
