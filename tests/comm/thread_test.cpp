// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <thread>

#include <zeropp/comm/agreement.hpp>
#include <zeropp/comm/self.hpp>
#include <zeropp/comm/thread.hpp>

#include "laws/communicator_laws.hpp"
#include "support/catch.hpp"

using namespace zeropp;

TEST_CASE("a world of one obeys the laws", "[law]") {
    CHECK(laws::check_communicator(SelfComm{}) == "");
}

TEST_CASE("thread ranks obey the laws in every world", "[law]") {
    for (const int world : {1, 2, 3, 4, 5, 8}) {
        INFO("world " << world);
        std::vector<std::string> findings(static_cast<std::size_t>(world));
        run_ranks(world, [&](ThreadComm comm) {
            findings[static_cast<std::size_t>(comm.rank())] = laws::check_communicator(comm);
        });
        for (const std::string& text : findings) CHECK(text == "");
    }
}

TEST_CASE("ranks may be late") {
    std::vector<std::string> findings(3);
    run_ranks(3, [&](ThreadComm comm) {
        laws::Findings found;
        for (int i = 0; i < 6; ++i) {
            if (i % 3 == comm.rank()) std::this_thread::sleep_for(std::chrono::milliseconds{5});
            laws::check_reduction<float, float>(comm, 64, found);
        }
        findings[static_cast<std::size_t>(comm.rank())] = found.text();
    });
    for (const std::string& text : findings) CHECK(text == "");
}

TEST_CASE("the first cause of a failing rank ends all and is rethrown alone") {
    for (const int world : {2, 4})
        CHECK_THROWS_WITH(run_ranks(world,
                                    [](ThreadComm comm) {
                                        comm.barrier();
                                        if (comm.rank() == 1)
                                            fail(Errc::io, "rank 1: disk is full, expected space");
                                        for (;;) comm.barrier();
                                    }),
                          "zeropp: rank 1: disk is full, expected space");
}

TEST_CASE("a failing rank also ends those that wait in a world split off") {
    CHECK_THROWS_WITH(run_ranks(4,
                                [](ThreadComm comm) {
                                    ThreadComm half = comm.split(comm.rank() / 2, 0);
                                    if (comm.rank() == 3)
                                        fail(Errc::io, "rank 3: gone, expected here");
                                    for (;;) half.barrier();
                                }),
                      "zeropp: rank 3: gone, expected here");
}

TEST_CASE("operations that do not match are named") {
    CHECK_THROWS_WITH(run_ranks(2,
                                [](ThreadComm comm) {
                                    std::vector<std::byte> some(8), all(16);
                                    if (comm.rank() == 0)
                                        comm.all_gather(some, all).wait();
                                    else
                                        comm.barrier();
                                }),
                      Catch::Contains("all_gather of 8 bytes") &&
                          Catch::Contains("barrier of 0 bytes") &&
                          Catch::Contains("expected the same on every rank"));
}

TEST_CASE("sizes that do not fit are refused with both numbers") {
    CHECK_THROWS_WITH(
        run_ranks(2,
                  [](ThreadComm comm) {
                      std::vector<float> in(4), out(3);
                      comm.reduce_scatter(std::span<const float>{in}, std::span<float>{out}).wait();
                  }),
        "zeropp: ThreadComm::reduce_scatter: in has 4 elements, expected size() * out = 6");
    CHECK_THROWS_WITH(run_ranks(0, [](ThreadComm) {}),
                      "zeropp: run_ranks: size is 0, expected at least 1");
}

TEST_CASE("ranks that were told different things are told which") {
    const auto agree = [](const char* second) {
        run_ranks(3, [&](ThreadComm comm) {
            Fingerprint fields;
            fields.add("stage", "2");
            fields.add("learning rate", comm.rank() == 2 ? second : "0.1");
            fields.add("precision", "fp32");
            require_agreement(comm, fields);
        });
    };
    CHECK_NOTHROW(agree("0.1"));
    CHECK_THROWS_WITH(agree("0.25"),
                      "zeropp: start-up: learning rate is 0.1 on rank 0 and 0.25 on rank 2, "
                      "expected the same on every rank");
}
