// SPDX-License-Identifier: Apache-2.0
/// \file An optimizer has any number of slots, each in its format: law of the stages, plan, values.
#include <array>
#include <vector>

#include <zeropp/comm/self.hpp>

#include "support/catch.hpp"
#include "zero/training.hpp"

using namespace zeropp;
using namespace zeropp::testing;

namespace {

/// Two moments, and a count of the steps that an element has seen.
struct Counting {
    float lr = 1e-2f;
    static constexpr std::string_view name = "counting";
    static constexpr std::array<Slot, 3> slots{"first", Slot{"second", SlotFormat::bfloat16},
                                               "count"};
    Rates rates() const { return {.lr = lr}; }
    Rates constants(StepContext now) const { return now.rates; }
    static float update(const Rates& now, float p, float g, SlotValues<3>& s) {
        s[0] = __builtin_fmaf(0.9f, s[0] - g, g);
        s[1] = __builtin_fmaf(0.9f, s[1] - g * g, g * g);
        s[2] += 1;
        return __builtin_fmaf(-now.lr, s[0] / (s[1] + s[2]), p);
    }
};

}  // namespace

TEST_CASE("an optimizer of three slots in two formats leaves the same bits at all stages",
          "[law]") {
    const Settings settings{.world = 3, .clip = 0.5f};
    const Result expected = train<Zero<0>, Counting, Bf16>(settings);
    for (const Result& other :
         {train<Zero<1>, Counting, Bf16>(settings), train<Zero<2>, Counting, Bf16>(settings),
          train<Zero<3>, Counting, Bf16>(settings)}) {
        CHECK(other.same_values(expected));
        CHECK(other.used == other.reserved);
        CHECK(other.planned == other.reserved);
    }
}

TEST_CASE("a slot in bf16 takes half the bytes and is rounded after each step") {
    SelfComm comm;
    std::vector<float> weights(256), gradients(256, 1.0f);
    Spans model{weights, gradients};
    Trainer trainer{model, comm, Counting{.lr = 1}, ClipNorm{0}};
    const MemoryPlan plan = trainer.plan();
    CHECK(plan.bytes_of("first") == 1024);
    CHECK(plan.bytes_of("second") == 512);
    CHECK(plan.bytes_of("count") == 1024);
    float p = 0;
    SlotValues<3> s{};
    for (int step = 0; step < 5; ++step) {
        trainer.step();
        p = Counting::update({.lr = 1}, p, 1.0f, s);
        s[1] = static_cast<float>(Bf16{s[1]});
        for (const float weight : weights) REQUIRE(weight == p);
    }
}
