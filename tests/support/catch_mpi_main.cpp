// SPDX-License-Identifier: Apache-2.0
/// \file main() of the test programs that run on several MPI processes: one failing rank fails all.
#include <algorithm>

#include <mpi.h>

int run_tests(int argc, char** argv);

int main(int argc, char** argv) {
    int provided = 0;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
    const int failed = run_tests(argc, argv);
    int any = 0;
    MPI_Allreduce(&failed, &any, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    MPI_Finalize();
    return std::min(any, 255);
}
