// SPDX-License-Identifier: Apache-2.0
/// \file Where an engine says that the time of a step goes.
#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include <zeropp/comm/thread.hpp>
#include <zeropp/trainer.hpp>

#include "support/catch.hpp"

using namespace zeropp;

namespace {

void work(int milliseconds) {
    std::this_thread::sleep_for(std::chrono::milliseconds{milliseconds});
}

/// Takes so many milliseconds forward and backward; its gradients are `value`.
struct Slow {
    using Element = float;
    using Device = Host;
    int forward = 20, backward = 40;

    Host device() const { return {}; }
    std::vector<Unit> units() const { return {{"unit", {{"w", {1000}}}}}; }
    void fill(std::size_t, std::size_t, std::size_t, std::span<float> out) const {
        std::fill(out.begin(), out.end(), 1.0f);
    }
    Loss run(const float& value, UnitObserver<float>& observer, float) {
        observer.use(0);
        work(forward);
        observer.release(0);
        observer.use(0);
        const auto to = observer.gradient(0);
        work(backward);
        std::fill(to.begin(), to.end(), value);
        observer.ready(0);
        observer.release(0);
        return {.sum = 1, .tokens = 1};
    }
};

}  // namespace

TEST_CASE("each phase of a step has its time, and together they have all of it") {
    PhaseTimes times, stopped;
    double step_seconds = 0;
    run_ranks(2, [&](ThreadComm comm) {
        Slow model;
        if (comm.rank() == 1) model.backward = 90;  // rank 0 waits for its gradients
        Trainer trainer{model, comm, zero<2>, Sgd{.lr = 0.1f}};
        trainer.step(1.0f);
        if (comm.rank() == 0) stopped = trainer.phases().take();
        comm.barrier();
        if (comm.rank() == 0) trainer.phases().start();
        const auto begin = std::chrono::steady_clock::now();
        trainer.step(1.0f);
        if (comm.rank() != 0) return;
        step_seconds =
            std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        times = trainer.phases().take();
    });
    CHECK(stopped.total() == 0);
    CHECK(times.of(Phase::forward) >= 0.020);
    CHECK(times.of(Phase::backward) >= 0.040);
    CHECK(times.of(Phase::reduction) > 0);
    CHECK(times.of(Phase::update) > 0);
    CHECK(times.of(Phase::data) == 0);
    // Started before, taken after; the microsecond is for the rounding of the sums.
    CHECK(times.total() >= step_seconds - 1e-6);
}
