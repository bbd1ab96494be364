// SPDX-License-Identifier: Apache-2.0
#include <zeropp/core/phase_clock.hpp>

#include "support/catch.hpp"

using namespace zeropp;

namespace {

/// A clock that the test moves.
struct ByHand {
    static double now() {
        ++reads;
        return 1e-3 * milliseconds;
    }
    static inline int milliseconds = 0, reads = 0;
};
using Clock = BasicPhaseClock<ByHand>;
void pass(int milliseconds) { ByHand::milliseconds += milliseconds; }

}  // namespace

TEST_CASE("every moment belongs to the innermost phase") {
    Clock clock;
    clock.start();
    pass(1);
    clock.enter(Phase::forward);
    pass(10);
    {
        const Clock::Scope waiting{clock, Phase::gather};
        pass(3);
    }
    pass(10);
    clock.enter(Phase::backward);
    pass(40);
    {
        const Clock::Scope waiting{clock, Phase::reduction};
        pass(5);
        const Clock::Scope deeper{clock, Phase::gather};
        pass(2);
    }
    pass(1);
    PhaseTimes times = clock.take();
    CHECK(times.of(Phase::other) == Approx(0.001));
    CHECK(times.of(Phase::forward) == Approx(0.020));
    CHECK(times.of(Phase::gather) == Approx(0.005));
    CHECK(times.of(Phase::backward) == Approx(0.041));
    CHECK(times.of(Phase::reduction) == Approx(0.005));
    CHECK(times.total() == Approx(0.072));  // nothing twice, nothing lost

    pass(7);  // still backward
    times = clock.take();
    CHECK(times.of(Phase::backward) == Approx(0.007));
    CHECK(times.total() == Approx(0.007));
}

TEST_CASE("a clock that was not started reads no clock") {
    ByHand::reads = 0;
    Clock clock;
    clock.enter(Phase::forward);
    { const Clock::Scope waiting{clock, Phase::gather}; }
    CHECK(clock.take().total() == 0);
    CHECK(ByHand::reads == 0);
    CHECK_FALSE(clock.is_running());
}
