// SPDX-License-Identifier: Apache-2.0
/// \file Operations allocate nothing: `operator new` is counted on the rank's thread.
#include <zeropp/comm/self.hpp>
#include <zeropp/comm/thread.hpp>

#include "support/catch.hpp"
#include "support/counted_allocations.hpp"

using namespace zeropp;

namespace {

template <Communicator C>
std::size_t allocations_of_operations(C& comm) {
    const auto world = static_cast<std::size_t>(comm.size());
    std::vector<float> in(world * 300, 1.0f), out(300), mine(300), all(world * 300);
    std::vector<std::byte> message(8);
    const std::size_t before = allocations;
    for (int i = 0; i < 50; ++i) {
        auto reduction = comm.reduce_scatter(std::span<const float>{in}, std::span<float>{out});
        auto gather =
            comm.all_gather(std::as_bytes(std::span{mine}), std::as_writable_bytes(std::span{all}));
        gather.wait();
        reduction.wait();
        comm.broadcast(message, 0).wait();
        comm.all_to_all(std::as_bytes(std::span{in}), std::as_writable_bytes(std::span{all}))
            .wait();
        if (world > 1 && comm.rank() == 0) comm.send(message, 1).wait();
        if (comm.rank() == 1) comm.recv(message, 0).wait();
        comm.barrier();
    }
    return allocations - before;
}

}  // namespace

TEST_CASE("operations of a world of one and of thread ranks allocate nothing") {
    SelfComm alone;
    CHECK(allocations_of_operations(alone) == 0);
    std::vector<std::size_t> counts(3, 1);
    run_ranks(3, [&](ThreadComm comm) {
        counts[static_cast<std::size_t>(comm.rank())] = allocations_of_operations(comm);
    });
    CHECK(counts == std::vector<std::size_t>(3, 0));
}
