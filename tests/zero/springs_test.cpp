// SPDX-License-Identifier: Apache-2.0
/// \file The model that a GPU trains beside the host, on the host: all stages leave the same bits.
#include <zeropp/comm/thread.hpp>

#include "support/catch.hpp"
#include "support/springs_trained.hpp"

using namespace zeropp;
using namespace zeropp::testing;

namespace {

template <class S, class E>
SpringsResult trained(int world, Accumulation accumulation) {
    SpringsResult result;
    run_ranks(world, [&](ThreadComm comm) {
        train_springs<S, E, Host, AdamW>(comm, result, accumulation);
    });
    return result;
}

}  // namespace

TEST_CASE("all stages leave the same bits in a model of springs", "[law]") {
    for (const int world : {1, 3})
        for (const Accumulation& accumulation :
             {Accumulation{}, {3, Accumulation::Reduce::every_micro_step}}) {
            const SpringsResult first = trained<Zero<0>, Bf16>(world, accumulation);
            REQUIRE(first.norms.size() == 4);
            CHECK(trained<Zero<2>, Bf16>(world, accumulation).same_values(first));
            CHECK(trained<Zero<3>, Bf16>(world, accumulation).same_values(first));
        }
}
