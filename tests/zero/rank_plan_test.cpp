// SPDX-License-Identifier: Apache-2.0
/// \file Law: what is planned for a rank is what a trainer then takes and sends, with every
/// optimizer of the library.
#include <zeropp/optim/adafactor.hpp>
#include <zeropp/optim/adagrad.hpp>
#include <zeropp/optim/lamb.hpp>
#include <zeropp/optim/lion.hpp>
#include <zeropp/zero/rank_plan.hpp>

#include "support/catch.hpp"
#include "zero/training.hpp"

using namespace zeropp;
using namespace zeropp::testing;

namespace {

template <int N, class E>
void plan_is_what_a_run_takes(const Settings& settings, const AnyOptimizer& optimizer) {
    PlanSetup setup{.units = Mlp<E>{settings.width, 4, settings.frozen}.units(),
                    .ranks = static_cast<std::size_t>(settings.world),
                    .optimizer = optimizer};
    setup.options.get<Accumulation>() = settings.accumulation;
    setup.options.get<Gradients>().type = settings.gradient_type;
    setup.options.get<OptimizerStates>().format = settings.states;
    setup.options.get<Buckets>().elements = settings.bucket;
    const RankPlan plan = rank_plan(setup, setup.layout(), stage_flags(N), dtype_of<E>);
    const Result run = train<Zero<N>, AnyOptimizer, E>(settings, optimizer);
    INFO("stage " << N << ", " << name_of(dtype_of<E>) << ", world " << settings.world << ", "
                  << optimizer.make_rule({})->name());
    for (std::size_t r = 0; r < setup.ranks; ++r) {
        CHECK(run.used[r] == plan.memory.total());
        CHECK(run.reserved[r] == plan.memory.total());
        CHECK(run.bytes_sent[r] == static_cast<std::uint64_t>(settings.steps) * plan.sent.total());
    }
}
template <class E>
void at_every_stage(const Settings& settings, const AnyOptimizer& optimizer) {
    plan_is_what_a_run_takes<0, E>(settings, optimizer);
    plan_is_what_a_run_takes<1, E>(settings, optimizer);
    plan_is_what_a_run_takes<2, E>(settings, optimizer);
    plan_is_what_a_run_takes<3, E>(settings, optimizer);
}
void in_every_precision(const Settings& settings, const AnyOptimizer& optimizer) {
    at_every_stage<float>(settings, optimizer);
    at_every_stage<Bf16>(settings, optimizer);
    at_every_stage<Half>(settings, optimizer);
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
                at_every_stage<float>(settings, AdamW{});
                at_every_stage<Bf16>(settings, AdamW{});
                settings.gradient_type = DType::fp32;
                at_every_stage<Half>(settings, AdamW{});
            }
}

TEST_CASE("a rank takes and sends what is planned with every optimizer", "[law]") {
    const AnyOptimizer optimizers[] = {AdamW{},
                                       Adam{},
                                       Lamb{},
                                       Lion{},
                                       Adagrad{},
                                       Sgd{},
                                       MomentumSgd{.nesterov = true},
                                       Adafactor{},
                                       Adafactor{.beta1 = 0.9f}};
    for (const int world : {1, 2, 3, 4})
        for (const AnyOptimizer& optimizer : optimizers)
            for (const SlotFormat states :
                 {SlotFormat::float32, SlotFormat::bfloat16, SlotFormat::block8})
                in_every_precision(
                    {.world = world, .steps = 1, .states = states, .bucket = 300, .frozen = true},
                    optimizer);
}
