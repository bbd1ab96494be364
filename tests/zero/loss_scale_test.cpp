// SPDX-License-Identifier: Apache-2.0
/// \file fp16 on the engine: the scale, what an overflow does, the law of the stages.
#include <limits>
#include <utility>
#include <vector>

#include <zeropp/comm/self.hpp>

#include "support/catch.hpp"
#include "zero/training.hpp"

using namespace zeropp;
using namespace zeropp::testing;

namespace {

/// The gradient of every element is what the batch says, times the loss scale.
struct Constant16 {
    using Element = Half;
    using Device = Host;
    Host device() const { return {}; }
    std::vector<Unit> units() const { return {{"a", {{"a", {300}}}}, {"b", {{"b", {300}}}}}; }
    void fill(std::size_t, std::size_t, std::size_t, std::span<float> out) const {
        std::fill(out.begin(), out.end(), 1.0f);
    }
    Loss run(const float& value, UnitObserver<Half>& observer, float loss_scale) {
        for (std::size_t u = 2; u-- > 0;) {
            const auto to = observer.gradient(u);
            std::fill(to.begin(), to.end(),
                      static_cast<Half>((u == 1 ? value : 0.5f) * loss_scale));
            observer.ready(u);
        }
        return {.sum = 1, .tokens = 1};
    }
};

std::vector<float> weights_of(auto& trainer) {
    std::vector<float> all;
    trainer.for_each_weight([&](const Parameter&, std::size_t, std::span<const float> values) {
        all.insert(all.end(), values.begin(), values.end());
    });
    return all;
}

}  // namespace

TEST_CASE("all stages leave the same bits in fp16", "[law]") {
    for (const int world : {1, 2, 3})
        for (const Accumulation accumulation :
             {Accumulation{}, Accumulation{2, Accumulation::Reduce::every_micro_step},
              Accumulation{2, Accumulation::Reduce::once_a_step}}) {
            const Settings settings{
                .world = world, .accumulation = accumulation, .clip = 0.5f, .frozen = true};
            const Result expected = train<Zero<0>, AdamW, Half>(settings);
            for (const Result& other :
                 {train<Zero<1>, AdamW, Half>(settings), train<Zero<2>, AdamW, Half>(settings),
                  train<Zero<3>, AdamW, Half>(settings)}) {
                CHECK(other.same_values(expected));
                CHECK(other.used == other.reserved);
                CHECK(other.planned == other.reserved);
            }
        }
}

TEST_CASE("an overflow in fp16 changes nothing but the scale, on all ranks") {
    std::vector<std::vector<Step>> steps(2);
    std::vector<float> kept;
    run_ranks(2, [&](ThreadComm comm) {
        Constant16 model;
        Trainer trainer{model,       comm,
                        zero<2>,     Sgd{.lr = 0.5f},
                        ClipNorm{0}, LossScale{.initial_scale_power = 10, .hysteresis = 1}};
        std::vector<Step>& mine = steps[static_cast<std::size_t>(comm.rank())];
        mine.push_back(trainer.step(comm.rank() == 1 ? 100.0f : 0.5f));  // 102,400 overflows
        std::vector<float> weights = weights_of(trainer);                // collective
        if (comm.rank() == 0) kept = std::move(weights);
        mine.push_back(trainer.step(comm.rank() == 1 ? 100.0f : 0.5f));  // 51,200 does not
        if (comm.rank() == 0 && weights_of(trainer)[0] != 0.75f)
            fail(Errc::numeric, "a's weight is not 1 - 0.5 * 0.5");
        if (comm.rank() != 0) weights_of(trainer);
    });
    for (const auto& mine : steps) {
        CHECK(mine[0].skipped);
        CHECK(mine[0].loss_scale == 1024);
        CHECK(mine[0].index == 0);
        CHECK(mine[1].updated);
        CHECK(mine[1].loss_scale == 512);
        // sqrt(300 * 0.5^2 + 300 * ((100 + 0.5) / 2)^2), what was rounded to fp16 included
        CHECK(mine[1].gradient_norm == Approx(870.4).epsilon(1e-3));
    }
    for (const float weight : kept) CHECK(weight == 1.0f);
}

TEST_CASE("the update undoes the scale that the backward pass had") {
    const auto trained = [](LossScale scale) {
        SelfComm comm;
        Constant16 model;
        Trainer trainer{model, comm, AdamW{.lr = 0.1f}, scale};
        for (int s = 0; s < 7; ++s) trainer.step(0.25f);
        return weights_of(trainer);
    };
    // The scale grows after steps 2, 4 and 6; powers of two change no bit.
    const std::vector<float> expected = trained({.loss_scale = 1});
    CHECK(trained({.initial_scale_power = 4, .loss_scale_window = 2}) == expected);
    CHECK(trained({.loss_scale = 1024}) == expected);
}

TEST_CASE("a second overflow in a row names the rank whose gradients were not finite") {
    std::vector<std::string> names(3);
    run_ranks(3, [&](ThreadComm comm) {
        Constant16 model;
        Trainer trainer{model, comm, zero<3>, LossScale{.loss_scale = 1024}};
        const float value = comm.rank() == 2 ? 100.0f : 0.5f;
        const Step first = trainer.step(value);
        if (first.non_finite != "b (mean over 3 ranks)") fail(Errc::numeric, first.non_finite);
        names[static_cast<std::size_t>(comm.rank())] = trainer.step(value).non_finite;
    });
    for (const std::string& name : names) CHECK(name == "b of rank 2");
}

TEST_CASE("an overflow at the least scale ends the run; so do many under a fixed scale") {
    SelfComm comm;
    Constant16 model;
    constexpr float infinity = std::numeric_limits<float>::infinity();
    Trainer dynamic{model, comm, LossScale{.initial_scale_power = 1, .hysteresis = 1}};
    CHECK(dynamic.step(infinity).loss_scale == 2);
    CHECK_THROWS_WITH(dynamic.step(infinity),
                      "zeropp: Trainer: the loss scale is 1, its minimum, and gradients overflow, "
                      "first in b, expected finite values; use bf16, or a lower learning rate");
    Trainer fixed{model, comm, LossScale{.loss_scale = 8}, SkipNonFinite{2}};
    CHECK(fixed.step(infinity).skipped);
    CHECK_THROWS_WITH(fixed.step(infinity),
                      "zeropp: Trainer: gradients were not finite in 2 steps in a row, first in b, "
                      "expected finite values; lower the learning rate, or look at the data");
}
