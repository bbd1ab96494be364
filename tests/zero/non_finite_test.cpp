// SPDX-License-Identifier: Apache-2.0
/// \file The search for gradients that are not finite looks at trainable tensors only.
#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include <zeropp/comm/thread.hpp>
#include <zeropp/trainer.hpp>

#include "support/catch.hpp"

using namespace zeropp;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

/// Frozen tensors before, between and behind trainable ones. The gradients that it writes to them
/// are never numbers; those of "b" are what the caller says.
struct PartlyFrozen {
    using Element = float;
    using Device = Host;

    Host device() const { return {}; }
    std::vector<Unit> units() const {
        return {{"first", {{"frozen", {300}, false}, {"a", {300}}}},
                {"second", {{"b", {300}}, {"frozen too", {500}, false}}}};
    }
    void fill(std::size_t, std::size_t, std::size_t, std::span<float> out) const {
        std::fill(out.begin(), out.end(), 1.0f);
    }
    Loss run(const float& value, UnitObserver<float>& observer, float) {
        const std::vector<Unit> all = units();
        for (std::size_t u = 2; u-- > 0;) {
            const auto to = observer.gradient(u);
            for (std::size_t p = 0; p < 2; ++p) {
                const Parameter& parameter = all[u].parameters[p];
                if (parameter_offset(all[u], p) >= to.size()) continue;  // frozen, and last
                const auto its = to.subspan(parameter_offset(all[u], p), parameter.size());
                std::fill(its.begin(), its.end(), parameter.name == "b" ? value : 1.0f);
                if (!parameter.trainable) its[7] = std::numeric_limits<float>::quiet_NaN();
            }
            observer.ready(u);
        }
        return {.sum = 1, .tokens = 1};
    }
};

template <class S>
void check(Accumulation accumulation, Buckets buckets) {
    CAPTURE(S::number, accumulation.steps, buckets.elements);
    constexpr int world = 3;
    std::vector<std::vector<Step>> steps(world);
    run_ranks(world, [&](ThreadComm comm) {
        PartlyFrozen model;
        Trainer trainer{model, comm, S{}, Sgd{}, accumulation, buckets};
        for (const float bad : {1.0f, infinity, infinity, 1.0f}) {
            Step step;
            for (int i = 0; i < accumulation.steps; ++i)
                step = trainer.step(comm.rank() == 2 ? bad : 1.0f);
            steps[static_cast<std::size_t>(comm.rank())].push_back(step);
        }
    });
    for (const std::vector<Step>& mine : steps) {
        REQUIRE(mine.size() == 4);
        CHECK((mine[0].updated && mine[3].updated));
        CHECK(is_finite(mine[0].gradient_norm));
        CHECK(mine[1].non_finite == "b (mean over 3 ranks)");
        CHECK(mine[2].non_finite == "b of rank 2");
    }
}

}  // namespace

TEST_CASE("what is written to a frozen tensor's gradient is not looked at") {
    for (const Accumulation accumulation : {Accumulation{},
                                            {2, Accumulation::Reduce::every_micro_step},
                                            {2, Accumulation::Reduce::once_a_step}})
        for (const Buckets buckets : {Buckets{1}, Buckets{1 << 20}}) {
            check<Zero<0>>(accumulation, buckets);
            check<Zero<1>>(accumulation, buckets);
            check<Zero<2>>(accumulation, buckets);
            check<Zero<3>>(accumulation, buckets);
        }
}

TEST_CASE("the first trainable element that is not finite, from anywhere in a bucket") {
    const std::vector<Unit> units = PartlyFrozen{}.units();
    const Layout layout{units, Topology{.shard = 1}, 1 << 20};
    const Bucket& bucket = layout.buckets()[0];
    REQUIRE(bucket.segments.size() == 4);
    std::vector<float> values(bucket.padded, infinity);  // gaps and padding too
    for (const Segment& segment : bucket.segments)
        if (segment.trainable) std::fill_n(values.begin() + segment.first, segment.size, 1.0f);
    const auto found = [&](std::size_t first, std::size_t count) {
        return first_not_finite<float>(Host{}, bucket, first,
                                       std::span<const float>{values}.subspan(first, count));
    };
    CHECK(found(0, bucket.padded) == bucket.padded);
    const std::size_t a = bucket.segments[1].first + 299, b = bucket.segments[2].first;
    values[a] = values[b] = infinity;
    CHECK(found(0, bucket.padded) == a);
    CHECK(found(a, 1) == a);
    CHECK(found(a + 1, bucket.padded - a - 1) == b);
    CHECK(found(0, a) == bucket.padded);
    CHECK(found(b + 1, bucket.padded - b - 1) == bucket.padded);
}
