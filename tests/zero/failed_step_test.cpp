// SPDX-License-Identifier: Apache-2.0
/// \file Law: a micro-step that fails inside the model, wherever it does, leaves no trace in the
/// step that is begun anew; and models that tell the observer what cannot be are told so.
#include <string>
#include <utility>
#include <vector>

#include <zeropp/comm/self.hpp>
#include <zeropp/comm/thread.hpp>
#include <zeropp/trainer.hpp>

#include "support/catch.hpp"
#include "support/mlp.hpp"
#include "support/temporary.hpp"

using namespace zeropp;
using namespace zeropp::testing;

namespace {

using Reduce = Accumulation::Reduce;

struct Failure {};

/// Throws when the model has made `calls` calls more.
class FailingObserver final : public UnitObserver<Bf16> {
public:
    FailingObserver(UnitObserver<Bf16>& observer, int& calls)
        : observer_{observer}, calls_{calls} {}
    std::span<const Bf16> use(std::size_t unit) override { return count(), observer_.use(unit); }
    void release(std::size_t unit) override { count(), observer_.release(unit); }
    std::span<Bf16> gradient(std::size_t unit) override {
        return count(), observer_.gradient(unit);
    }
    void ready(std::size_t unit) override { count(), observer_.ready(unit); }

private:
    void count() {
        if (calls_-- == 0) throw Failure{};
    }
    UnitObserver<Bf16>& observer_;
    int& calls_;
};

struct FailingMlp : Mlp<Bf16> {
    int calls = -1;  ///< until it fails
    Loss run(const MlpBatch& batch, UnitObserver<Bf16>& observer, float loss_scale) {
        FailingObserver failing{observer, calls};
        return Mlp<Bf16>::run(batch, failing, loss_scale);
    }
    Loss evaluate(const MlpBatch& batch, UnitObserver<Bf16>& observer) {
        FailingObserver failing{observer, calls};
        return Mlp<Bf16>::evaluate(batch, failing);
    }
};

/// The weights of rank 0 after three steps. The second step fails in micro-step `micro` after
/// `calls` calls, if there are as many, and is begun anew.
template <class S, class C>
std::pair<std::vector<float>, bool> weights_after(C& comm, Accumulation accumulation, int micro,
                                                  int calls) {
    FailingMlp model;
    Trainer trainer{model, comm, S{}, MomentumSgd{.lr = 0.1f}, accumulation, Buckets{64}};
    const auto step = [&](int index) {
        return trainer.step(
            MlpBatch{.seed = static_cast<std::uint64_t>(2 * index + comm.rank() + 1)});
    };
    bool failed = false;
    int done = 0;
    for (; done < accumulation.steps; ++done) step(done);
    if (calls >= 0) {
        for (int m = 0; m < micro; ++m) step(done + m);
        model.calls = calls;
        try {
            step(done + micro);
        } catch (const Failure&) {
            failed = true;
        }
        model.calls = calls;
        try {
            if (failed) trainer.evaluate(MlpBatch{.seed = 9});
        } catch (const Failure&) {
        }
        model.calls = -1;
    }
    std::vector<float> weights;
    if (calls >= 0 && !failed) return {weights, failed};
    for (const int end = 3 * accumulation.steps; done < end; ++done) step(done);
    trainer.for_each_weight([&](const Parameter&, std::size_t, std::span<const float> values) {
        weights.insert(weights.end(), values.begin(), values.end());
    });
    return {weights, failed};
}

template <class S>
void check_failures() {
    for (const Accumulation accumulation :
         {Accumulation{}, {2, Reduce::every_micro_step}, {2, Reduce::once_a_step}})
        for (int micro = 0; micro < accumulation.steps; ++micro) {
            INFO("stage " << S::number << ", micro-step " << micro << " of " << accumulation.steps);
            int calls = 0, same = 0, same_of_two = 0;
            SelfComm self;
            const auto expected = weights_after<S>(self, accumulation, 0, -1).first;
            for (;; ++calls) {
                const auto [weights, failed] = weights_after<S>(self, accumulation, micro, calls);
                if (!failed) break;
                same += weights == expected;
            }
            CHECK(calls == 28);
            CHECK(same == calls);
            run_ranks(2, [&](ThreadComm comm) {
                const auto of_two = weights_after<S>(comm, accumulation, 0, -1).first;
                for (int at = 0; at < 28; ++at) {
                    const auto weights = weights_after<S>(comm, accumulation, micro, at).first;
                    if (comm.rank() == 0) same_of_two += weights == of_two;
                }
            });
            CHECK(same_of_two == 28);
        }
}

}  // namespace

TEST_CASE("a step that failed in the model is begun anew, wherever it failed", "[law]") {
    check_failures<Zero<0>>();
    check_failures<Zero<1>>();
    check_failures<Zero<2>>();
    check_failures<Zero<3>>();
}

namespace {

/// Six units of a bucket each; a batch says what is told of them: a verb and a unit a word.
struct Told {
    using Element = float;
    using Device = Host;

    Host device() const { return {}; }
    std::vector<Unit> units() const {
        std::vector<Unit> units;
        for (const char* name : {"0", "1", "2", "3", "4", "5"})
            units.push_back({name, {{name, {100}}}});
        return units;
    }
    void fill(std::size_t, std::size_t, std::size_t, std::span<float> out) const {
        std::fill(out.begin(), out.end(), 1.0f);
    }
    Loss run(const std::string& words, UnitObserver<float>& observer, float) {
        for (std::size_t at = 0; at + 1 < words.size(); at += 3) {
            const auto unit = static_cast<std::size_t>(words[at + 1] - '0');
            switch (words[at]) {
                case 'u':
                    observer.use(unit);
                    break;
                case 'x':
                    observer.release(unit);
                    break;
                case 'g': {
                    const auto to = observer.gradient(unit);
                    std::fill(to.begin(), to.end(), 0.5f);
                    break;
                }
                default:
                    observer.ready(unit);
            }
        }
        return {};
    }
};
const std::string whole = "g5 r5 g4 r4 g3 r3 g2 r2 g1 r1 g0 r0 ";

template <class S>
void check_misuse() {
    INFO("stage " << S::number);
    SelfComm comm;
    Told model;
    Trainer trainer{model, comm, S{}, Sgd{.lr = 1}, ClipNorm{0}, Buckets{1}};
    const auto refusal = [&](const std::string& words) {
        return message_of([&] { trainer.step(words); });
    };
    CHECK(refusal("g5 r5 r5 ") ==
          "zeropp: Trainer: unit 5 is ready twice, expected once a backward pass");
    CHECK(refusal(whole + "r0 ") ==
          "zeropp: Trainer: unit 0 is ready twice, expected once a backward pass");
    CHECK(refusal("r5 ") == "zeropp: Trainer: unit 5 is ready, expected gradient(unit) before");
    CHECK(refusal("g5 r5 g5 ") ==
          "zeropp: Trainer: unit 5 writes gradients after it was ready, expected gradient(unit) "
          "before");
    CHECK(refusal("u1 x1 x1 ") == "zeropp: Trainer: unit 1 is released, expected use(unit) before");
    CHECK(refusal("x3 ") == "zeropp: Trainer: unit 3 is released, expected use(unit) before");
    CHECK(trainer.step(whole).updated);
    // One open unit around the others.
    CHECK(trainer.step("g5 g4 r4 g3 r3 g2 r2 g1 r1 g0 r0 r5 ").updated);
    // Ready in another order than opened.
    CHECK(trainer.step("g5 g4 r5 g3 r4 g2 r2 g1 r3 r1 g0 r0 ").updated);
    trainer.for_each_weight([](const Parameter&, std::size_t, std::span<const float> values) {
        for (const float value : values) CHECK(value == -0.5f);
    });
}

}  // namespace

TEST_CASE(
    "what cannot be is refused at every stage, and any order of at most two open units is "
    "not") {
    check_misuse<Zero<0>>();
    check_misuse<Zero<1>>();
    check_misuse<Zero<2>>();
    check_misuse<Zero<3>>();
    SelfComm comm;
    Told model;
    Trainer trainer{model, comm, zero<2>, Buckets{1}};
    CHECK(message_of([&] { trainer.step(std::string{"g5 g4 g3 "}); }) ==
          "zeropp: Trainer: unit 3 writes gradients while two other buckets are not ready, "
          "expected ready(unit) for one of them first");
}

namespace {

/// All ranks throw alike while the gathers of a step are in flight, and go on with another trainer.
template <class C>
void go_on_after_a_failure(C& comm) {
    Told model;
    try {
        Trainer trainer{model, comm, zero<2>, Sgd{.lr = 1}, ClipNorm{0}, Buckets{1}};
        trainer.step(whole);
        fail(Errc::io, "user: enough, expected more");
    } catch (const Error&) {
    }
    Trainer trainer{model, comm, zero<2>, Sgd{.lr = 1}, ClipNorm{0}, Buckets{1}};
    for (int i = 0; i < 40; ++i)
        if (!trainer.step(whole).updated) fail(Errc::numeric, "a step after it did not update");
}

}  // namespace

TEST_CASE("a trainer that goes while an exception passes leaves the communicator to the next") {
    for (const int world : {1, 2, 3})
        CHECK_NOTHROW(run_ranks(world, [](ThreadComm comm) { go_on_after_a_failure(comm); }));
}
