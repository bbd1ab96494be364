// SPDX-License-Identifier: Apache-2.0
/// \file Law: after the first two steps a step allocates nothing. `operator new` is counted on each
/// rank's thread.
#include <algorithm>
#include <string>
#include <vector>

#include <zeropp/comm/thread.hpp>
#include <zeropp/optim/adafactor.hpp>
#include <zeropp/optim/lamb.hpp>
#include <zeropp/trainer.hpp>

#include "support/catch.hpp"
#include "support/counted_allocations.hpp"

using namespace zeropp;

namespace {

/// Allocates nothing itself. Unit n has 100 (n + 1) elements; the first is shared by all.
struct Constant {
    using Element = Bf16;
    using Device = Host;
    static constexpr std::size_t count = 6;

    Host device() const { return {}; }
    std::vector<Unit> units() const {
        std::vector<Unit> units;
        for (std::size_t n = 0; n < count; ++n) {
            const std::string name = "unit " + std::to_string(n);
            units.push_back({name, {{name, {100 * (n + 1)}, n != 3}}, n == 0});
        }
        return units;
    }
    void fill(std::size_t, std::size_t, std::size_t, std::span<float> out) const {
        std::fill(out.begin(), out.end(), 1.0f);
    }
    Loss run(const float& value, UnitObserver<Bf16>& observer, float) {
        observer.use(0);
        for (std::size_t u = 1; u < count; ++u) {
            observer.use(u);
            observer.release(u);
        }
        for (std::size_t u = count; u-- > 0;) {
            if (u != 0) observer.use(u);
            const auto to = observer.gradient(u);
            std::fill(to.begin(), to.end(), Bf16{value});
            observer.ready(u);
            observer.release(u);
        }
        return {.sum = 1, .tokens = 1};
    }
};

template <class S>
void check_steps(Accumulation accumulation, const AnyOptimizer& optimizer = AdamW{.lr = 1e-2f}) {
    INFO("stage " << S::number << ", " << accumulation.steps << " micro-steps");
    std::vector<std::size_t> counts(3, 1);
    run_ranks(3, [&](ThreadComm comm) {
        Constant model;
        Trainer trainer{model, comm, S{}, optimizer, WarmupLinear{2, 20}, accumulation, Buckets{1}};
        const auto steps = [&](int number) {
            for (int i = 0; i < number * accumulation.steps; ++i) trainer.step(0.5f);
        };
        steps(2);
        const std::size_t before = allocations;  // 0 only if nobody counts
        steps(5);
        if (before != 0) counts[static_cast<std::size_t>(comm.rank())] = allocations - before;
    });
    CHECK(counts == std::vector<std::size_t>(3, 0));
}

}  // namespace

TEST_CASE("after the first two a step allocates nothing, at any stage", "[law]") {
    using Reduce = Accumulation::Reduce;
    for (const Accumulation accumulation :
         {Accumulation{}, {2, Reduce::every_micro_step}, {2, Reduce::once_a_step}}) {
        check_steps<Zero<0>>(accumulation);
        check_steps<Zero<1>>(accumulation);
        check_steps<Zero<2>>(accumulation);
        check_steps<Zero<3>>(accumulation);
    }
}

TEST_CASE("nor does one of an optimizer that measures whole tensors", "[law]") {
    for (const AnyOptimizer& optimizer : {AnyOptimizer{Lamb{}}, AnyOptimizer{Adafactor{}}}) {
        check_steps<Zero<0>>({}, optimizer);
        check_steps<Zero<3>>({}, optimizer);
    }
}
