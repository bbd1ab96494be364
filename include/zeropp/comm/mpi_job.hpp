// SPDX-License-Identifier: Apache-2.0
/// \file What the processes of one `run_mpi_ranks` share: who may say why they end.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <thread>

#include <zeropp/comm/mpi_state.hpp>

namespace zeropp::detail {

/// One word a host, in memory that its ranks share: who fails first takes the right to speak.
class MpiJob {
public:
    /// Collective.
    MpiJob() {
        MPI_Comm host = MPI_COMM_NULL;
        check_mpi(
            MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host),
            "MPI_Comm_split_type");
        int rank = 0;
        check_mpi(MPI_Comm_rank(host, &rank), "MPI_Comm_rank");
        void* mine = nullptr;
        check_mpi(MPI_Win_allocate_shared(rank == 0 ? sizeof(int) : 0, sizeof(int), MPI_INFO_NULL,
                                          host, &mine, &window_),
                  "MPI_Win_allocate_shared");
        MPI_Aint size = 0;
        int unit = 0;
        check_mpi(MPI_Win_shared_query(window_, 0, &size, &unit, &word_), "MPI_Win_shared_query");
        if (rank == 0) *word_ = 0;
        check_mpi(MPI_Barrier(host), "MPI_Barrier");
        check_mpi(MPI_Comm_free(&host), "MPI_Comm_free");
    }
    MpiJob(const MpiJob&) = delete;
    MpiJob& operator=(const MpiJob&) = delete;
    /// Collective, unless an exception passes: the others would be waited for.
    ~MpiJob() {
        if (std::uncaught_exceptions() <= exceptions_) MPI_Win_free(&window_);
    }

    /// Ends all ranks. `text` is printed by one of each host, and by the lowest rank where all fail
    /// alike: each waits for those below it before it speaks.
    [[noreturn]] void fail_with(const char* text, int rank) {
        std::this_thread::sleep_for(std::chrono::milliseconds{100} * std::min(rank, 20));
        if (std::atomic_ref<int>{*word_}.exchange(1) == 0) {
            std::fprintf(stderr, "%s\n", text);
            std::fflush(nullptr);
        } else {  // the one that spoke ends this process
            std::this_thread::sleep_for(std::chrono::seconds{10});
        }
        MPI_Abort(MPI_COMM_WORLD, 1);
        std::terminate();
    }

private:
    MPI_Win window_ = MPI_WIN_NULL;
    int* word_ = nullptr;
    int exceptions_ = std::uncaught_exceptions();
};

}  // namespace zeropp::detail
