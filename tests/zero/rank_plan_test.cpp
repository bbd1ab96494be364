// SPDX-License-Identifier: Apache-2.0
/// \file Law: what is planned for a rank is what a trainer then takes and sends.
#include <zeropp/zero/rank_plan.hpp>

#include "support/catch.hpp"
#include "zero/trained.hpp"

using namespace zeropp;
using namespace zeropp::testing;

namespace {

template <int N, class O, class E>
void plan_is_what_a_run_takes(const Settings& settings) {
    PlanSetup setup{.units = Mlp<E>{settings.width, 4, settings.frozen}.units(),
                    .ranks = static_cast<std::size_t>(settings.world),
                    .slots = {O::slots.begin(), O::slots.end()}};
    setup.options.get<Accumulation>() = settings.accumulation;
    setup.options.get<Gradients>().type = settings.gradient_type;
    setup.options.get<Buckets>().elements = settings.bucket;
    const RankPlan plan = rank_plan(setup, setup.layout(), stage_flags(N), dtype_of<E>);
    const Result run = train<Zero<N>, O, E>(settings);
    INFO("stage " << N << ", " << name_of(dtype_of<E>) << ", world " << settings.world);
    for (std::size_t r = 0; r < setup.ranks; ++r) {
        CHECK(run.reserved[r] == plan.memory.total());
        CHECK(run.bytes_sent[r] == static_cast<std::uint64_t>(settings.steps) * plan.sent.total());
    }
}
template <class O, class E>
void at_every_stage(const Settings& settings) {
    plan_is_what_a_run_takes<0, O, E>(settings);
    plan_is_what_a_run_takes<1, O, E>(settings);
    plan_is_what_a_run_takes<2, O, E>(settings);
    plan_is_what_a_run_takes<3, O, E>(settings);
}

}  // namespace

TEST_CASE("a rank takes and sends what is planned", "[law]") {
    using Reduce = Accumulation::Reduce;
    for (const int world : {1, 2, 3, 4})
        for (const bool frozen : {false, true})
            for (const Accumulation& accumulation : {Accumulation{},
                                                     {3, Reduce::by_stage},
                                                     {2, Reduce::every_micro_step},
                                                     {2, Reduce::once_a_step}}) {
                Settings settings{.world = world,
                                  .steps = 2,
                                  .accumulation = accumulation,
                                  .bucket = 300,
                                  .frozen = frozen};
                at_every_stage<AdamW, float>(settings);
                at_every_stage<MomentumSgd, float>(settings);
                at_every_stage<AdamW, Bf16>(settings);
                settings.gradient_type = DType::fp32;
                at_every_stage<AdamW, Bf16>(settings);
            }
}

TEST_CASE("a rank takes and sends what is planned with every optimizer", "[law]") {
    for (const int world : {1, 2, 3, 4}) {
        const Settings settings{.world = world, .steps = 1, .bucket = 300};
        at_every_stage<Adam, float>(settings);
        at_every_stage<Adam, Bf16>(settings);
        at_every_stage<Sgd, float>(settings);
        at_every_stage<Sgd, Bf16>(settings);
        at_every_stage<MomentumSgd, Bf16>(settings);
    }
}

TEST_CASE("a stage is 0 to 3") {
    CHECK(stage_flags(2).shards_gradients);
    CHECK_FALSE(stage_flags(2).shards_parameters);
    CHECK_THROWS_WITH(stage_flags(4), "zeropp: stage: is 4, expected 0 to 3");
}
