// SPDX-License-Identifier: Apache-2.0
/// \file Bytes on the wire, bytes of memory, skipped steps and misuse of the engine.
#include <limits>

#include "support/catch.hpp"
#include "zero/training.hpp"

using namespace zeropp;
using namespace zeropp::testing;

namespace {

using Reduce = Accumulation::Reduce;

/// What rank 0 sends in a step beside buckets: (W-1) copies of its partial norms and loss.
std::uint64_t exchange_bytes(const Layout& layout, std::uint64_t world) {
    return (world - 1) * 8 * StatePlan::exchange_doubles(layout);
}

template <int N, class E>
void bytes_follow_the_formula(Settings settings, std::uint64_t reductions, std::uint64_t gathers) {
    const auto world = static_cast<std::uint64_t>(settings.world);
    const Layout layout{Mlp<E>{settings.width}.units(), world, settings.bucket};
    std::uint64_t resident = 0;
    for (const Bucket& bucket : layout.buckets()) resident += bucket.resident ? bucket.padded : 0;
    const std::uint64_t share = layout.full_size() * (world - 1) / world;
    const std::uint64_t gathered_twice =
        N == 3 ? resident * (world - 1) / world : 0;  // stays between forward and backward
    const auto k = static_cast<std::uint64_t>(settings.accumulation.steps);
    const std::uint64_t expected =
        static_cast<std::uint64_t>(settings.steps) *
        (((reductions + gathers) * share - k * gathered_twice) * sizeof(E) +
         exchange_bytes(layout, world));
    const Result result = train<Zero<N>, AdamW, E>(settings);
    INFO("stage " << N << ", world " << world << ", micro-steps " << k);
    for (const std::uint64_t sent : result.bytes_sent) CHECK(sent == expected);
}

}  // namespace

TEST_CASE(
    "bytes sent are 2 parts of the model at stages 0 to 2 and 3 less the resident units at stage "
    "3") {
    for (const int world : {2, 3, 4}) {
        const Settings settings{.world = world};
        bytes_follow_the_formula<0, float>(settings, 1, 1);
        bytes_follow_the_formula<1, float>(settings, 1, 1);
        bytes_follow_the_formula<2, float>(settings, 1, 1);
        bytes_follow_the_formula<3, float>(settings, 1, 2);
        bytes_follow_the_formula<0, Bf16>(settings, 1, 1);
        bytes_follow_the_formula<2, Bf16>(settings, 1, 1);
        bytes_follow_the_formula<3, Bf16>(settings, 1, 2);
    }
}

TEST_CASE(
    "bytes sent with k micro-steps are k + 1 and 3k parts, or 2 and 2k + 1 where gradients are "
    "reduced once") {
    Settings settings{.world = 3, .accumulation = {4, Reduce::every_micro_step}};
    bytes_follow_the_formula<1, float>(settings, 4, 1);
    bytes_follow_the_formula<2, float>(settings, 4, 1);
    bytes_follow_the_formula<3, float>(settings, 4, 8);
    settings.accumulation.reduce = Reduce::once_a_step;
    bytes_follow_the_formula<0, float>(settings, 1, 1);
    bytes_follow_the_formula<2, float>(settings, 1, 1);
    bytes_follow_the_formula<3, float>(settings, 1, 8);
}

TEST_CASE("every arena is used to its last byte and the plan says so") {
    const auto check = [](const Result& result) {
        for (std::size_t r = 0; r < result.used.size(); ++r) {
            CHECK(result.used[r] == result.reserved[r]);
            CHECK(result.planned[r] == result.reserved[r]);
        }
    };
    for (const int k : {1, 3})
        for (const Reduce reduce : {Reduce::every_micro_step, Reduce::once_a_step})
            for (const bool frozen : {false, true}) {
                const Settings settings{
                    .world = 3, .steps = 1, .accumulation = {k, reduce}, .frozen = frozen};
                check(train<Zero<0>, AdamW, Bf16>(settings));
                check(train<Zero<1>, AdamW, Bf16>(settings));
                check(train<Zero<2>, AdamW, Bf16>(settings));
                check(train<Zero<3>, AdamW, Bf16>(settings));
                check(train<Zero<0>, MomentumSgd>(settings));
                check(train<Zero<3>, MomentumSgd>(settings));
            }
}

TEST_CASE(
    "state bytes of Adam are those of the table: 14, 4 + 10/N, 2 + 12/N and 14/N an element in "
    "bf16") {
    const std::size_t world = 4;
    const Layout layout{{{"a", {{"a", {512 * 64}}}}, {"b", {{"b", {512 * 64}}}}}, world, 1};
    const double elements = static_cast<double>(layout.full_size());
    const auto per_element = [&](StageFlags stage) {
        const GradientPlan how{stage, DType::bf16, {}};
        const StatePlan plan{layout, world, stage, how};
        return static_cast<double>(plan.parameters + plan.gradients + plan.master + 2 * plan.slot) /
               elements;
    };
    CHECK(per_element(flags_of<Zero<0>>) == 14.0);
    CHECK(per_element(flags_of<Zero<1>>) == 4.0 + 10.0 / 4);
    CHECK(per_element(flags_of<Zero<2>>) == 2.0 + 12.0 / 4);
    CHECK(per_element(flags_of<Zero<3>>) == 14.0 / 4);
}

namespace {

/// Gradients are what the caller says.
struct Scripted {
    using Element = float;
    using Device = Host;
    Host device() const { return {}; }
    std::vector<Unit> units() const { return {{"a", {{"a", {300}}}}, {"b", {{"b", {300}}}}}; }
    void fill(std::size_t, std::size_t, std::size_t, std::span<float> out) const {
        std::fill(out.begin(), out.end(), 1.0f);
    }
    Loss run(const float& value, UnitObserver<float>& observer, float) {
        for (std::size_t u = 2; u-- > 0;) {
            const auto to = observer.gradient(u);
            std::fill(to.begin(), to.end(), u == 1 ? value : 1.0f);
            if (forget != u) observer.ready(u);
        }
        return {.mean = 1, .tokens = 1};
    }
    std::size_t forget = 9;
};

}  // namespace

TEST_CASE(
    "a step with gradients that are not finite is skipped on every rank, counted, and names the "
    "tensor") {
    std::vector<Step> steps(2);
    std::vector<double> kept;
    run_ranks(2, [&](ThreadComm comm) {
        Scripted model;
        Trainer trainer{model, comm, zero<2>, Sgd{}, Buckets{1}};
        const float bad = comm.rank() == 1 ? std::numeric_limits<float>::quiet_NaN() : 1.0f;
        steps[static_cast<std::size_t>(comm.rank())] = trainer.step(bad);
        trainer.for_each_weight([&](const Parameter&, std::span<const float> values) {
            kept.insert(kept.end(), values.begin(), values.end());
        });
        const Step next = trainer.step(1.0f);
        if (!next.updated || next.index != 1 || trainer.skipped_steps() != 1)
            fail(Errc::numeric, "the next step did not update");
    });
    for (const Step& step : steps) {
        CHECK(step.skipped);
        CHECK_FALSE(step.updated);
        CHECK(step.index == 0);
        CHECK(step.non_finite == "b (shard of rank 0)");
    }
    for (const double value : kept) CHECK(value == 1.0);
}

TEST_CASE("so many skipped steps in a row end the run") {
    CHECK_THROWS_WITH(
        run_ranks(
            2,
            [](ThreadComm comm) {
                Scripted model;
                Trainer trainer{model, comm, zero<2>, Sgd{}, SkipNonFinite{.most_in_a_row = 3}};
                for (int i = 0; i < 5; ++i) trainer.step(std::numeric_limits<float>::infinity());
            }),
        "zeropp: Trainer: gradients were not finite in 3 steps in a row, first in b (shard of rank "
        "0), expected finite values; lower the "
        "learning rate, or look at the data");
}

TEST_CASE("a unit that is never ready is named") {
    CHECK_THROWS_WITH(run_ranks(1,
                                [](ThreadComm comm) {
                                    Scripted model;
                                    model.forget = 0;
                                    Trainer trainer{model, comm, zero<2>, Buckets{1}};
                                    trainer.step(1.0f);
                                }),
                      "zeropp: Trainer: backward ended and unit 0 or one in its bucket was not "
                      "ready, expected ready(unit) for every unit");
}

TEST_CASE("a plan that does not fit says by how much and which stage would") {
    std::string text;
    try {
        run_ranks(4, [](ThreadComm comm) {
            Scripted model;
            Trainer trainer{model, comm, zero<0>, MemoryLimit{14'000}};
        });
    } catch (const Error& error) {
        text = error.what();
    }
    CHECK(text.find("bytes, expected at most 14000 (") != std::string::npos);
    CHECK(text.find("it would fit with stage ") != std::string::npos);
}

TEST_CASE("ranks that were configured differently are told what differs") {
    CHECK_THROWS_WITH(
        run_ranks(2,
                  [](ThreadComm comm) {
                      Scripted model;
                      Trainer trainer{model, comm, ClipNorm{comm.rank() == 0 ? 1.0f : 2.0f}};
                  }),
        Catch::Contains("gradient clipping"));
}

TEST_CASE("your own arrays stay readable after each step and start from those of rank 0") {
    std::vector<std::vector<float>> seen(3);
    run_ranks(3, [&](ThreadComm comm) {
        std::vector<float> weights(5, static_cast<float>(comm.rank())), gradients(5, 3.0f);
        Spans model{weights, gradients};
        Trainer trainer{model, comm, zero<2>, Sgd{.lr = 0.5f}, ClipNorm{0}};
        trainer.step();
        seen[static_cast<std::size_t>(comm.rank())] = weights;
    });
    for (const auto& weights : seen) CHECK(weights == std::vector<float>(5, -1.5f));
}
