// SPDX-License-Identifier: Apache-2.0
/// \file Bytes on the wire, bytes of memory, skipped steps and misuse of the engine.
#include <cstring>
#include <limits>
#include <string>

#include <zeropp/comm/self.hpp>

#include "support/catch.hpp"
#include "support/temporary.hpp"
#include "zero/trained.hpp"

using namespace zeropp;
using namespace zeropp::testing;

namespace {

using Reduce = Accumulation::Reduce;

/// What rank 0 sends in a step beside buckets: (W-1) copies of its partial norms and loss.
std::uint64_t exchange_bytes(const Layout& layout, std::uint64_t world) {
    return (world - 1) * 8 * StatePlan::step_doubles(layout);
}

template <int N, class E>
void bytes_follow_the_formula(Settings settings, std::uint64_t reductions, std::uint64_t gathers) {
    const auto world = static_cast<std::uint64_t>(settings.world);
    const Layout layout{Mlp<E>{settings.width}.units(), {.shard = world}, settings.bucket};
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
    const std::vector<Unit> units{{"a", {{"a", {512 * 64}}}}, {"b", {{"b", {512 * 64}}}}};
    const Layout layout{units, {.shard = world}, 1};
    const double elements = static_cast<double>(layout.full_size());
    const auto per_element = [&](StageFlags stage, DType type = DType::bf16) {
        const GradientPlan how{stage, type, {}};
        const OptimizerPlan optimizer{*make_rule(AdamW{}), layout, units, {}};
        const StatePlan plan{layout, stage, how, optimizer};
        return static_cast<double>(plan.parameters + plan.gradients + plan.master.bytes +
                                   plan.slots[0].bytes + plan.slots[1].bytes) /
               elements;
    };
    CHECK(per_element(flags_of<Zero<0>>) == 14.0);
    CHECK(per_element(flags_of<Zero<1>>) == 4.0 + 10.0 / 4);
    CHECK(per_element(flags_of<Zero<2>>) == 2.0 + 12.0 / 4);
    CHECK(per_element(flags_of<Zero<3>>) == 14.0 / 4);
    // In fp16 the master stands by itself; in fp32 the parameter is its own.
    CHECK(per_element(flags_of<Zero<0>>, DType::fp16) == 16.0);
    CHECK(per_element(flags_of<Zero<3>>, DType::fp32) == 16.0 / 4);
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
        return {.sum = bad_loss ? std::numeric_limits<double>::quiet_NaN() : 1, .tokens = 1};
    }
    std::size_t forget = 9;
    bool bad_loss = false;
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
        trainer.for_each_weight([&](const Parameter&, std::size_t, std::span<const float> values) {
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
        CHECK(step.non_finite == "b (mean over 2 ranks)");
    }
    for (const double value : kept) CHECK(value == 1.0);
}

TEST_CASE("a skipped step names the first rank whose loss was not finite, if there is one") {
    std::vector<std::string> names(3);
    run_ranks(3, [&](ThreadComm comm) {
        Scripted model;
        model.bad_loss = comm.rank() >= 1;
        Trainer trainer{model, comm, zero<1>, Sgd{}};
        const float bad = model.bad_loss ? std::numeric_limits<float>::quiet_NaN() : 1.0f;
        names[static_cast<std::size_t>(comm.rank())] = trainer.step(bad).non_finite;
    });
    for (const std::string& name : names) CHECK(name == "b (and the loss of rank 1)");
    SelfComm comm;
    Scripted model;
    Trainer trainer{model, comm};
    CHECK(trainer.step(std::numeric_limits<float>::infinity()).non_finite == "b");
}

TEST_CASE("a unit that is said to be forward only is not used in backward") {
    struct Misplaced {
        using Element = float;
        using Device = Host;
        Host device() const { return {}; }
        std::vector<Unit> units() const {
            return {{"f", {{"f.w", {8}, false}}, false, true}, {"t", {{"t.w", {8}}}}};
        }
        void fill(std::size_t, std::size_t, std::size_t, std::span<float> out) const {
            std::fill(out.begin(), out.end(), 1.0f);
        }
        Loss run(int, UnitObserver<float>& observer, float) {
            observer.use(1);
            std::ranges::fill(observer.gradient(1), 1.0f);
            observer.ready(1);
            observer.release(1);
            observer.use(0);
            return {.sum = 1, .tokens = 1};
        }
    };
    SelfComm comm;
    Misplaced model;
    Trainer trainer{model, comm};
    CHECK_THROWS_WITH(trainer.step(0),
                      "zeropp: Trainer: unit 'f' is used in backward, expected it in forward "
                      "alone, as Unit::forward_only says");
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
        "zeropp: Trainer: gradients were not finite in 3 steps in a row, first in b of rank 0, "
        "expected finite values; lower the learning rate, or look at the data");
}

TEST_CASE("a trainer whose step has failed begins the next one anew") {
    SelfComm comm;
    Scripted model;
    Trainer trainer{model, comm, zero<2>, Sgd{}, SkipNonFinite{.most_in_a_row = 1}};
    CHECK_THROWS(trainer.step(std::numeric_limits<float>::infinity()));
    CHECK(trainer.step(1.0f).updated);
    model.forget = 0;
    CHECK_THROWS(trainer.step(1.0f));
    model.forget = 9;
    const Step step = trainer.step(1.0f);
    CHECK(step.updated);
    CHECK(step.index == 2);
    CHECK(step.loss == 1.0);
}

TEST_CASE("policies whose values mean nothing are refused by name") {
    SelfComm comm;
    Scripted model;
    const auto refusal = [&](auto... policies) {
        return message_of([&] { Trainer{model, comm, policies...}; });
    };
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    CHECK(refusal(Sgd{.lr = nan}) == "zeropp: Sgd: lr is nan, expected 0 or more");
    CHECK(refusal(MomentumSgd{.momentum = -0.5f}) ==
          "zeropp: MomentumSgd: momentum is -0.5, expected 0 or more");
    CHECK(refusal(AdamW{.beta1 = 1}) ==
          "zeropp: AdamW: beta1 is 1, expected 0 or more and less than 1");
    CHECK(refusal(Adam{.eps = -1}) == "zeropp: Adam: eps is -1, expected 0 or more");
    CHECK(refusal(WarmupLR{.max_lr = -1}) == "zeropp: WarmupLR: max_lr is -1, expected 0 or more");
    CHECK(refusal(WarmupLinear{.total = 0}) ==
          "zeropp: WarmupLinear: total is 0, expected at least 1: the last step of the decay");
    CHECK(refusal(WarmupCosine{.warmup = -1}) ==
          "zeropp: WarmupCosine: warmup is -1, expected 0 or more");
    CHECK(refusal(ClipNorm{nan}) == "zeropp: ClipNorm: max_norm is nan, expected 0 or more");
    CHECK(refusal(SkipNonFinite{0}) ==
          "zeropp: SkipNonFinite: most_in_a_row is 0, expected at least 1");
    CHECK(refusal(Accumulation{.steps = 0}) ==
          "zeropp: Accumulation: steps is 0, expected at least 1");
}

TEST_CASE("a schedule whose rates mean nothing is told so before it changes a weight") {
    SelfComm comm;
    Scripted model;
    const auto refusal = [&](Rates bad) {
        const auto schedule = [bad](std::int64_t step, Rates base) {
            return step == 2 ? bad : base;
        };
        Trainer trainer{model, comm, Sgd{.lr = 0.5f}, ClipNorm{0}, schedule};
        trainer.step(1.0f);
        const std::string message = message_of([&] { trainer.step(1.0f); });
        CHECK(trainer.steps() == 1);
        trainer.for_each_weight([](const Parameter&, std::size_t, std::span<const float> values) {
            for (const float value : values) CHECK(value == 0.5f);
        });
        return message;
    };
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    constexpr float infinity = std::numeric_limits<float>::infinity();
    CHECK(refusal({.lr = nan}) ==
          "zeropp: schedule: the rates of step 2 are lr nan and momentum 0, expected finite "
          "numbers of 0 or more");
    CHECK(refusal({.lr = 1, .momentum = infinity}) ==
          "zeropp: schedule: the rates of step 2 are lr 1 and momentum inf, expected finite "
          "numbers of 0 or more");
    CHECK(refusal({.lr = -0.5f}) ==
          "zeropp: schedule: the rates of step 2 are lr -0.5 and momentum 0, expected finite "
          "numbers of 0 or more");
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

TEST_CASE("ranks that were configured differently are told what differs, in each option") {
    const auto refusal = [](auto here, auto there) {
        return message_of([&] {
            run_ranks(2, [&](ThreadComm comm) {
                Scripted model;
                Trainer trainer{model, comm, comm.rank() == 0 ? here : there};
            });
        });
    };
    const auto differ = [](const std::string& what) {
        return "zeropp: start-up: " + what + " on rank 1, expected the same on every rank";
    };
    CHECK(refusal(ClipNorm{1}, ClipNorm{2}) == differ("gradient clipping is 1 on rank 0 and 2"));
    CHECK(refusal(Accumulation{1}, Accumulation{2}) ==
          differ("gradient accumulation is 1 on rank 0 and 2"));
    CHECK(refusal(Accumulation{2}, Accumulation{2, Reduce::once_a_step}) ==
          differ("reduction is 0 on rank 0 and 2"));
    CHECK(refusal(SkipNonFinite{1}, SkipNonFinite{2}) ==
          differ("skipped steps in a row is 1 on rank 0 and 2"));
    CHECK(refusal(MemoryLimit{0}, MemoryLimit{9'000'000}) ==
          differ("memory limit is 0 on rank 0 and 9000000"));
    CHECK(refusal(Gradients{}, Gradients{DType::fp32}) ==
          differ("gradient type is by precision on rank 0 and fp32"));
    CHECK(refusal(Buckets{1}, Buckets{2}) == differ("bucket elements is 1 on rank 0 and 2"));
}

TEST_CASE("ranks that start from other values are told which") {
    struct FromRank : Scripted {
        int rank = 0;
        void fill(std::size_t, std::size_t, std::size_t first, std::span<float> out) const {
            for (std::size_t i = 0; i < out.size(); ++i)
                out[i] = rank != 0 && first + i == 299 ? 2.0f : 1.0f;
        }
    };
    CHECK_THROWS_WITH(
        run_ranks(2,
                  [](ThreadComm comm) {
                      FromRank model;
                      model.rank = comm.rank();
                      Trainer trainer{model, comm};
                  }),
        Catch::Matchers::Contains("start-up: initial values of a (hash of a few) is"));
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

namespace {

/// A world of one that writes down what it is asked for.
struct Logged {
    using Pending = SelfComm::Pending;
    SelfComm self{};
    std::string* log;

    int rank() const noexcept { return 0; }
    int size() const noexcept { return 1; }
    std::string_view name() const noexcept { return "logged"; }
    template <class E, class G>
    Pending reduce_scatter(std::span<E> in, std::span<G> out) {
        return self.reduce_scatter(in, out);
    }
    Pending all_gather(std::span<const std::byte> in, std::span<std::byte> out) {
        if (in.size() >= 512) *log += " g" + std::to_string(in.size() / 512 - 1);
        return self.all_gather(in, out);
    }
    Pending all_to_all(std::span<const std::byte> in, std::span<std::byte> out) {
        return self.all_to_all(in, out);
    }
    Pending broadcast(std::span<std::byte> out, int root) { return self.broadcast(out, root); }
    Pending send(std::span<const std::byte> in, int to) { return self.send(in, to); }
    Pending recv(std::span<std::byte> out, int from) { return self.recv(out, from); }
    void barrier() noexcept {}
    Logged split(int, int) const noexcept { return *this; }
    std::uint64_t bytes_sent() const noexcept { return 0; }
    std::size_t workspace_bytes(std::size_t) const noexcept { return 0; }
    void use_workspace(std::span<std::byte>) noexcept {}
    void return_workspace(std::span<std::byte>) noexcept {}
};

/// Unit n has 128 (n + 1) elements. Says when it begins to use each.
struct Five {
    using Element = float;
    using Device = Host;
    std::string* log;

    Host device() const { return {}; }
    std::vector<Unit> units() const {
        std::vector<Unit> units;
        for (std::size_t n = 0; n < 5; ++n)
            units.push_back({std::to_string(n), {{std::to_string(n), {128 * (n + 1)}}}});
        return units;
    }
    void fill(std::size_t, std::size_t, std::size_t, std::span<float> out) const {
        std::fill(out.begin(), out.end(), 1.0f);
    }
    Loss run(const int&, UnitObserver<float>& observer, float) {
        for (std::size_t u = 0; u < 5; ++u) {
            *log += " u" + std::to_string(u);
            observer.use(u);
            observer.release(u);
        }
        for (std::size_t u = 5; u-- > 0;) {
            *log += " u" + std::to_string(u);
            observer.use(u);
            const auto to = observer.gradient(u);
            std::fill(to.begin(), to.end(), 1.0f);
            observer.ready(u);
            observer.release(u);
        }
        return {.sum = 1, .tokens = 1};
    }
    std::size_t activation_bytes() const { return 1'000'000; }
};

}  // namespace

TEST_CASE("from the second step on stage 3 gathers a unit while the one before it is used") {
    std::string log;
    Logged comm{.log = &log};
    Five model{&log};
    Trainer trainer{model, comm, zero<3>, Sgd{}, Buckets{1}};
    trainer.step(0);
    log.clear();
    trainer.step(0);
    CHECK(log.starts_with(" u0 g0 g1 u1 g2 u2 g3 u3 g4 u4"));
    CHECK(log.ends_with(" u4 g4 g3 u3 g2 u2 g1 u1 g0 u0"));
}

TEST_CASE("the memory limit counts the model's activations") {
    std::string log;
    Logged comm{.log = &log};
    Five model{&log};
    CHECK_THROWS_WITH((Trainer{model, comm, zero<0>, MemoryLimit{900'000}}),
                      Catch::Matchers::Contains("no stage would fit"));
}

namespace {

/// Its constants have bytes that nobody sets.
struct Padded {
    float lr = 0.5f;
    bool negate = false;

    struct Constants {
        bool negate;
        double lr;
    };
    static constexpr std::string_view name = "padded";
    static constexpr std::array<Slot, 0> slots{};
    Rates rates() const { return {.lr = lr}; }
    Constants constants(StepContext now) const {
        Constants constants;
        std::memset(&constants, static_cast<int>(reinterpret_cast<std::uintptr_t>(this) >> 4),
                    sizeof constants);
        constants.negate = negate;
        constants.lr = now.rates.lr;
        return constants;
    }
    static float update(const Constants& c, float p, float g, SlotValues<0>&) {
        return p - static_cast<float>(c.negate ? -c.lr : c.lr) * g;
    }
};

}  // namespace

TEST_CASE("optimizers are compared by what they do, not by the bytes of their constants") {
    const auto train = [](bool differ) {
        run_ranks(2, [&](ThreadComm comm) {
            Scripted model;
            Trainer trainer{model, comm, Padded{.negate = differ && comm.rank() == 1}};
            trainer.step(1.0f);
        });
    };
    train(false);
    CHECK_THROWS_WITH(train(true), Catch::Matchers::Contains("what the optimizer does in step 1"));
}

namespace {

/// Three parameters of a unit: less than a piece, just a piece, and more than two.
struct Large {
    using Element = Bf16;
    using Device = Host;
    static constexpr std::size_t piece = 1 << 20;
    static constexpr std::size_t sizes[] = {1000, piece, 2 * piece + 5};

    Host device() const { return {}; }
    std::vector<Unit> units() const {
        return {{"u", {{"a", {sizes[0]}}, {"b", {sizes[1]}}, {"c", {sizes[2]}}}}};
    }
    void fill(std::size_t, std::size_t parameter, std::size_t first, std::span<float> out) const {
        for (std::size_t i = 0; i < out.size(); ++i)
            out[i] = static_cast<float>((parameter + 1) * 4'000'000 + first + i);
    }
};

template <class S>
void check_pieces(int world) {
    std::vector<std::size_t> seen;  // parameter, first, size of each visit
    std::size_t differ = 0;
    std::vector<std::uint64_t> sent(static_cast<std::size_t>(world));
    std::size_t shard = 0;
    run_ranks(world, [&](ThreadComm comm) {
        Large model;
        Trainer trainer{model, comm, S{}, Sgd{}};
        const std::uint64_t before = comm.bytes_sent();
        trainer.for_each_weight(
            [&](const Parameter& parameter, std::size_t first, std::span<const float> values) {
                const auto index = static_cast<std::size_t>(parameter.name[0] - 'a');
                seen.insert(seen.end(), {index, first, values.size()});
                std::vector<float> expected(values.size());
                model.fill(0, index, first, expected);
                differ += !std::equal(values.begin(), values.end(), expected.begin());
            });
        sent[static_cast<std::size_t>(comm.rank())] = comm.bytes_sent() - before;
        if (comm.rank() == 0) shard = trainer.engine().layout().buckets()[0].shard;
    });
    INFO("stage " << S::number << ", world " << world);
    constexpr std::size_t piece = Large::piece;
    CHECK(seen == std::vector<std::size_t>{0, 0, 1000, 1, 0, piece, 2, 0, piece, 2, piece, piece, 2,
                                           2 * piece, 5});
    CHECK(differ == 0);
    CHECK(sent[0] == 0);
    for (std::size_t r = 1; r < sent.size(); ++r) CHECK(sent[r] <= 4 * shard);
}

}  // namespace

TEST_CASE("weights are visited in order and in pieces that do not depend on stage or ranks") {
    check_pieces<Zero<0>>(2);
    check_pieces<Zero<1>>(1);
    check_pieces<Zero<2>>(3);
    check_pieces<Zero<3>>(2);
}

TEST_CASE("a frozen tensor in bf16 is written with the values that it was read with") {
    Mlp<Bf16> model{13, 4, true};
    SelfComm comm;
    Trainer trainer{model, comm, zero<2>};
    const std::vector<Unit> units = model.units();
    std::size_t frozen = 0;
    trainer.for_each_weight(
        [&](const Parameter& parameter, std::size_t, std::span<const float> values) {
            for (std::size_t u = 0; u < units.size(); ++u)
                for (std::size_t p = 0; p < units[u].parameters.size(); ++p) {
                    if (units[u].parameters[p].name != parameter.name) continue;
                    std::vector<float> given(values.size());
                    model.fill(u, p, 0, given);
                    CHECK(std::equal(values.begin(), values.end(), given.begin()));
                    frozen += !parameter.trainable;
                }
        });
    CHECK(frozen == 3);
}
