// SPDX-License-Identifier: Apache-2.0
/// \file Whatever goes wrong on a thread rank: all ranks end, and the first cause is told.
#include <algorithm>
#include <atomic>
#include <memory>

#include <zeropp/comm/thread.hpp>
#include <zeropp/trainer.hpp>

#include "support/catch.hpp"
#include "support/mlp.hpp"

using namespace zeropp;
using namespace zeropp::testing;

TEST_CASE("the first cause of a failing rank ends all and is rethrown alone") {
    for (const int world : {1, 2, 4})
        CHECK_THROWS_WITH(run_ranks(world,
                                    [](ThreadComm comm) {
                                        comm.barrier();
                                        if (comm.rank() == comm.size() - 1)
                                            fail(Errc::io, "rank: disk is full, expected space");
                                        for (;;) comm.barrier();
                                    }),
                          "zeropp: rank: disk is full, expected space");
}

TEST_CASE("a failing rank also ends those that wait in a world split off, or for a message") {
    CHECK_THROWS_WITH(run_ranks(4,
                                [](ThreadComm comm) {
                                    ThreadComm half = comm.split(comm.rank() / 2, 0);
                                    if (comm.rank() == 3)
                                        fail(Errc::io, "rank 3: gone, expected here");
                                    std::vector<std::byte> message(4);
                                    if (comm.rank() == 0) comm.recv(message, 3).wait();
                                    if (comm.rank() == 1) comm.send(message, 3).wait();
                                    for (;;) half.barrier();
                                }),
                      "zeropp: rank 3: gone, expected here");
}

TEST_CASE("an exception of any type reaches the caller as it is") {
    CHECK_THROWS_AS(run_ranks(2,
                              [](ThreadComm comm) {
                                  if (comm.rank() == 0) throw 42;
                                  comm.barrier();
                              }),
                    int);
}

TEST_CASE("buffers of a rank that fails are not read once they are gone") {
    // An address sanitizer sees the reads, if there are any.
    for (int round = 0; round < 50; ++round)
        CHECK_THROWS_WITH(
            run_ranks(3,
                      [&](ThreadComm comm) {
                          constexpr std::size_t shard = 1 << 14;
                          const auto world = static_cast<std::size_t>(comm.size());
                          std::vector<float> in(world * shard, 1.0f), out(shard), mine(shard),
                              all(world * shard);
                          const auto reduction = comm.reduce_scatter(std::span<const float>{in},
                                                                     std::span<float>{out});
                          auto gather = comm.all_gather(std::as_bytes(std::span{mine}),
                                                        std::as_writable_bytes(std::span{all}));
                          if (comm.rank() == round % 3)
                              fail(Errc::numeric, "model: loss is NaN, expected a number");
                          gather.wait();
                          comm.barrier();
                      }),
            "zeropp: model: loss is NaN, expected a number");
}

TEST_CASE("operations that do not match are named, the same on every rank") {
    CHECK_THROWS_WITH(run_ranks(2,
                                [](ThreadComm comm) {
                                    std::vector<std::byte> some(8), all(16);
                                    if (comm.rank() == 0)
                                        comm.all_gather(some, all).wait();
                                    else
                                        comm.barrier();
                                }),
                      "zeropp: ThreadComm: operation 1 is all_gather of 8 bytes (root 0) on rank 0 "
                      "and barrier of 0 bytes (root 0) on rank 1, expected the same on every rank");
    CHECK_THROWS_WITH(run_ranks(3,
                                [](ThreadComm comm) {
                                    std::vector<std::byte> bytes(comm.rank() == 2 ? 9 : 8);
                                    comm.broadcast(bytes, 1).wait();
                                }),
                      "zeropp: ThreadComm: operation 1 is broadcast of 8 bytes (root 1) on rank 0 "
                      "and broadcast of 9 bytes (root 1) on rank 2, expected the same on every "
                      "rank");
    CHECK_THROWS_WITH(run_ranks(2,
                                [](ThreadComm comm) {
                                    std::vector<std::byte> four(4), three(3);
                                    if (comm.rank() == 0)
                                        comm.send(four, 1).wait();
                                    else
                                        comm.recv(three, 0).wait();
                                }),
                      "zeropp: ThreadComm::recv: rank 0 sends 4 bytes to rank 1, expected 3");
}

TEST_CASE("a rank that returns while others need it is named") {
    CHECK_THROWS_WITH(run_ranks(3,
                                [](ThreadComm comm) {
                                    comm.barrier();
                                    if (comm.rank() != 1) comm.barrier();
                                }),
                      "zeropp: ThreadComm: rank 1 has returned without its part of operation 2 "
                      "(barrier), expected the same operations on every rank, waited for");
    CHECK_THROWS_WITH(run_ranks(2,
                                [](ThreadComm comm) {
                                    std::vector<std::byte> message(4);
                                    if (comm.rank() == 0) comm.recv(message, 1).wait();
                                }),
                      "zeropp: ThreadComm: rank 1 has returned without its part of message 1 from "
                      "rank 1 to rank 0, expected as many recv as send");
}

TEST_CASE("sizes, roots and peers that do not fit are refused with both numbers") {
    CHECK_THROWS_WITH(
        run_ranks(2,
                  [](ThreadComm comm) {
                      std::vector<float> in(4), out(3);
                      comm.reduce_scatter(std::span<const float>{in}, std::span<float>{out}).wait();
                  }),
        "zeropp: ThreadComm::reduce_scatter: in has 4 elements, expected size() * out = 6");
    CHECK_THROWS_WITH(run_ranks(2, [](ThreadComm comm) { comm.broadcast({}, 2).wait(); }),
                      "zeropp: ThreadComm::broadcast: root is 2, expected 0 to 1");
    CHECK_THROWS_WITH(run_ranks(2, [](ThreadComm comm) { comm.send({}, comm.rank()).wait(); }),
                      Catch::Matchers::Contains("expected another rank of 0 to 1"));
    CHECK_THROWS_WITH(run_ranks(0, [](ThreadComm) {}),
                      "zeropp: run_ranks: size is 0, expected at least 1");
}

TEST_CASE("a training ends with the cause, at whichever operation a rank fails") {
    const auto train = [](const ThreadHook& hook) {
        run_ranks(
            2,
            [](ThreadComm comm) {
                Mlp<float> model;
                Trainer trainer{model, comm, zero<3>, Sgd{.lr = 0.1f}, Buckets{200}};
                for (int s = 0; s < 3; ++s)
                    trainer.step(MlpBatch{.seed = static_cast<std::uint64_t>(2 * s + comm.rank())});
            },
            hook);
    };
    std::atomic<std::uint64_t> last{0};
    train([&](int rank, std::uint64_t sequence) {
        if (rank == 0) last = sequence;
    });
    REQUIRE(last > 20);
    for (std::uint64_t at = 1; at <= last; ++at)
        CHECK_THROWS_WITH(train([&](int rank, std::uint64_t sequence) {
                              if (rank == static_cast<int>(at % 2) && sequence == at)
                                  fail(Errc::device, "rank ", rank, ": power is off, expected on");
                          }),
                          "zeropp: rank " + std::to_string(at % 2) + ": power is off, expected on");
}
