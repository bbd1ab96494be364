// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdint>
#include <thread>

#include <zeropp/comm/agreement.hpp>
#include <zeropp/comm/self.hpp>
#include <zeropp/comm/thread.hpp>
#include <zeropp/core/rng.hpp>

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

TEST_CASE("thread ranks obey the laws when any of them is late at any operation", "[law]") {
    std::vector<std::string> findings(3);
    const ThreadHook delay = [](int rank, std::uint64_t sequence) {
        const std::uint32_t roll = philox(
            9, {static_cast<std::uint32_t>(sequence), static_cast<std::uint32_t>(rank), 0, 0})[0];
        if (roll % 16 == 0) std::this_thread::sleep_for(std::chrono::microseconds{roll % 500});
    };
    run_ranks(
        3,
        [&](ThreadComm comm) {
            laws::Findings found;
            for (int i = 0; i < 20; ++i) {
                laws::check_reduction<float, float>(comm, 64, found);
                laws::check_mixed(comm, found);
                laws::check_movement(comm, found);
            }
            laws::check_order(comm, found);
            findings[static_cast<std::size_t>(comm.rank())] = found.text();
        },
        delay);
    for (const std::string& text : findings) CHECK(text == "");
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
