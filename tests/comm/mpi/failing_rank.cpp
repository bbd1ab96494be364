// SPDX-License-Identifier: Apache-2.0
/// \file One of several processes fails while the others wait for it: `guarded` by run_mpi_ranks,
/// or `caught` by a main() of the user's own; `all` fail alike; what is thrown is an `int`.
#include <iostream>
#include <string_view>
#include <vector>

#include <zeropp/comm/mpi.hpp>

namespace {

void fail_on_the_last(zeropp::MpiComm& comm, std::string_view how) {
    std::vector<float> in(3000u * static_cast<unsigned>(comm.size()), 1.0f), out(3000);
    auto pending = comm.reduce_scatter(std::span<const float>{in}, std::span<float>{out});
    if (how == "int" && comm.rank() == comm.size() - 1) throw 42;
    if (how == "all" || comm.rank() == comm.size() - 1)
        zeropp::fail(zeropp::Errc::io, "rank ", comm.rank(), ": disk is full, expected space");
    pending.wait();
    for (;;) comm.barrier();
}

}  // namespace

int main(int, char** argv) try {
    const std::string_view how = argv[1];
    if (how == "caught") {
        zeropp::MpiComm comm;
        fail_on_the_last(comm, how);
    } else {
        zeropp::run_mpi_ranks([&](zeropp::MpiComm comm) { fail_on_the_last(comm, how); });
    }
    return 0;
} catch (int) {
    return 2;
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
