// SPDX-License-Identifier: Apache-2.0
/// \file Law: what is planned for a process, its communicator's workspace included, is what it
/// takes. Run as 1 to 4 processes.
#include <zeropp/comm/mpi.hpp>
#include <zeropp/trainer.hpp>
#include <zeropp/zero/rank_plan.hpp>

#include "support/catch.hpp"
#include "support/mlp.hpp"

using namespace zeropp;
using namespace zeropp::testing;

TEST_CASE("a process takes and sends what is planned", "[law]") {
    MpiComm comm;
    Mlp<Bf16> model{40};
    PlanSetup setup{.units = model.units(),
                    .ranks = static_cast<std::size_t>(comm.size()),
                    .slots = {AdamW::slots.begin(), AdamW::slots.end()},
                    .workspace = MpiComm::workspace_bytes};
    setup.options.get<Buckets>().elements = 2000;
    const auto check = [&](auto stage) {
        const RankPlan plan =
            rank_plan(setup, setup.layout(), stage_flags(stage.number), DType::bf16);
        Trainer trainer{model, comm, stage, AdamW{}, Buckets{2000}};
        const std::uint64_t before = comm.bytes_sent();
        trainer.step(MlpBatch{.seed = 1});
        trainer.settle();
        CHECK(comm.bytes_sent() - before == plan.sent.total());
        CHECK(trainer.engine().bytes_reserved() == plan.memory.total());
        CHECK(plan.memory.bytes_of("communication") >= 2 * 40 * 40 * sizeof(Bf16));
    };
    check(zero<0>);
    check(zero<1>);
    check(zero<2>);
    check(zero<3>);
}
