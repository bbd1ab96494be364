// SPDX-License-Identifier: Apache-2.0
/// \file Law: what is planned for a rank is what a trainer then takes and sends, with every
/// optimizer of the library.
#include <zeropp/optim/adafactor.hpp>
#include <zeropp/optim/adagrad.hpp>
#include <zeropp/optim/lamb.hpp>
#include <zeropp/optim/lion.hpp>
#include <zeropp/zero/rank_plan.hpp>

#include "support/catch.hpp"
#include "support/temporary.hpp"
#include "zero/training.hpp"

using namespace zeropp;
using namespace zeropp::testing;

namespace {

template <int N, class E>
void plan_is_what_a_run_takes(const Settings& settings, const AnyOptimizer& optimizer) {
    PlanSetup setup{
        .units = Mlp<E>{settings.width, 4, settings.frozen, settings.forward_only}.units(),
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

TEST_CASE("what is frozen before all that is trained is gathered once at stage 3", "[law]") {
    for (const int world : {1, 2, 3, 4})
        for (const int micro_steps : {1, 3})
            for (const std::size_t forward_only : {1, 2, 3})
                for (const bool frozen : {false, true})  // beside a unit that backward goes through
                    for (const std::size_t bucket : {300, 800, 1200})
                        in_every_precision({.world = world,
                                            .steps = 2,
                                            .accumulation = {micro_steps},
                                            .bucket = bucket,
                                            .frozen = frozen,
                                            .forward_only = forward_only},
                                           AdamW{});
    const auto gathered = [](std::size_t forward_only) {
        PlanSetup setup{.units = Mlp<float>{13, 4, false, forward_only}.units(), .ranks = 2};
        setup.options.get<Buckets>().elements = 300;
        return rank_plan(setup, setup.layout(), stage_flags(3), DType::fp32).sent.parameters;
    };
    constexpr std::uint64_t shared = 128, layer = 256;  // elements of a rank, padded
    CHECK(gathered(0) == 4 * (shared + 8 * layer));
    CHECK(gathered(3) == 4 * (shared + 5 * layer));
}

TEST_CASE("a stage that there is not is refused") {
    CHECK(message_of([] { stage_flags(4); }) == "zeropp: plan: stage is 4, expected 0 to 3");
    CHECK(message_of([] { stage_flags(-1); }) == "zeropp: plan: stage is -1, expected 0 to 3");
}
