// SPDX-License-Identifier: Apache-2.0
/// \file The order of examples: the same whatever the number of ranks.
#include <algorithm>
#include <cstdint>
#include <numeric>
#include <set>
#include <vector>

#include <zeropp/data/sampler.hpp>

#include "support/catch.hpp"
#include "support/temporary.hpp"

namespace zp = zeropp;
using Ordinals = std::vector<std::uint32_t>;

namespace {

Ordinals take(zp::Sampler& sampler, std::uint64_t step, std::size_t micro_step, std::size_t rank) {
    const auto taken = sampler.take(step, micro_step, rank);
    return {taken.begin(), taken.end()};
}
/// All examples of a step, in the order of micro-steps and ranks.
Ordinals step_of(zp::Sampler& sampler, std::uint64_t step) {
    Ordinals all;
    for (std::size_t m = 0; m < sampler.shape().accumulation; ++m)
        for (std::size_t r = 0; r < sampler.shape().ranks; ++r)
            for (const std::uint32_t i : take(sampler, step, m, r)) all.push_back(i);
    return all;
}
Ordinals lengths_of(std::size_t count) {
    zp::Random random{3};
    Ordinals lengths(count);
    for (std::uint32_t& length : lengths) length = 5 + random.below(200);
    return lengths;
}

}  // namespace

TEST_CASE("without shuffling, step k, micro-step m, rank r takes k G + m micro W + r micro on") {
    zp::Sampler sampler{50, {.micro = 2, .accumulation = 3, .ranks = 4}, {.shuffle = false}};
    CHECK(sampler.steps_per_epoch() == 2);
    CHECK(take(sampler, 0, 0, 0) == Ordinals{0, 1});
    CHECK(take(sampler, 0, 0, 3) == Ordinals{6, 7});
    CHECK(take(sampler, 0, 1, 0) == Ordinals{8, 9});
    CHECK(take(sampler, 1, 2, 1) == Ordinals{42, 43});
    CHECK(take(sampler, 2, 0, 0) == Ordinals{0, 1});  // examples 48 and 49 are in no step
}

TEST_CASE("an epoch takes each example at most once, and another order than the one before") {
    const std::size_t grouped = GENERATE(1u, 4u, 1000u);
    zp::Sampler sampler{103, {5, 2, 1}, {.seed = 9, .grouped_steps = grouped}, lengths_of(103)};
    std::vector<Ordinals> epochs(3);
    for (std::uint64_t step = 0; step < 30; ++step)
        for (const std::uint32_t i : step_of(sampler, step)) epochs[step / 10].push_back(i);
    for (const Ordinals& epoch : epochs) {
        CHECK(epoch.size() == 100);
        CHECK(std::set<std::uint32_t>(epoch.begin(), epoch.end()).size() == 100);
        CHECK(*std::ranges::max_element(epoch) < 103);
    }
    CHECK(epochs[0] != epochs[1]);
    CHECK(std::set<std::uint32_t>(epochs[0].begin(), epochs[0].end()) !=
          std::set<std::uint32_t>(epochs[1].begin(), epochs[1].end()));

    SECTION("going back gives the same again") {
        Ordinals again;
        for (std::uint64_t step = 0; step < 10; ++step)
            for (const std::uint32_t i : step_of(sampler, step)) again.push_back(i);
        CHECK(again == epochs[0]);
    }
}

TEST_CASE("a step's examples do not depend on how ranks and micro-steps share it") {
    const std::size_t grouped = GENERATE(1u, 3u);
    const auto epoch_with = [&](zp::BatchShape shape, std::uint64_t seed) {
        zp::Sampler sampler{96, shape, {.seed = seed, .grouped_steps = grouped}, lengths_of(96)};
        std::vector<Ordinals> steps;
        for (std::uint64_t step = 0; step < 16; ++step) steps.push_back(step_of(sampler, step));
        return steps;
    };
    const auto steps = epoch_with({12, 1, 1}, 1);
    CHECK(epoch_with({3, 1, 4}, 1) == steps);
    CHECK(epoch_with({2, 3, 2}, 1) == steps);
    CHECK(epoch_with({1, 12, 1}, 1) == steps);
    CHECK(epoch_with({12, 1, 1}, 2) != steps);
}

TEST_CASE("grouped steps have examples of like lengths, in no order of length among themselves") {
    const Ordinals lengths = lengths_of(4000);
    const auto padding = [&](std::size_t grouped) {
        zp::Sampler sampler{4000, {8, 1, 1}, {.grouped_steps = grouped}, lengths};
        double padded = 0, real = 0;
        std::size_t longer = 0;
        std::uint32_t before = 0;
        for (std::uint64_t step = 0; step < 500; ++step) {
            std::uint32_t longest = 0;
            for (const std::uint32_t i : step_of(sampler, step)) {
                longest = std::max(longest, lengths[i]);
                real += lengths[i];
            }
            padded += 8.0 * longest;
            longer += longest > before;
            before = longest;
        }
        CHECK(longer > 200);  // 250 of 500 on average
        CHECK(longer < 300);
        return padded / real;
    };
    CHECK(padding(1) > 1.6);
    CHECK(padding(50) < 1.02);
}

TEST_CASE("every order of a few examples comes up about as often") {
    std::vector<int> counts(24);
    zp::Sampler sampler{4, {4, 1, 1}, {.seed = 5}};
    for (std::uint64_t epoch = 0; epoch < 2400; ++epoch) {
        const Ordinals order = take(sampler, epoch, 0, 0);
        std::size_t rank = 0;
        Ordinals left{0, 1, 2, 3};
        for (const std::uint32_t i : order) {
            const auto at = std::ranges::find(left, i);
            rank = rank * left.size() + static_cast<std::size_t>(at - left.begin());
            left.erase(at);
        }
        ++counts[rank];
    }
    // Chi-squared with 23 degrees of freedom: above 49.7 once in a thousand seeds.
    double sum = 0;
    for (const int count : counts) sum += (count - 100.0) * (count - 100.0) / 100.0;
    CHECK(sum < 49.7);
}

TEST_CASE("shapes that cannot be filled are refused") {
    using zp::testing::message_of;
    CHECK(message_of([] {
              zp::Sampler{15, {4, 2, 2}, {}};
          }) ==
          "zeropp: Sampler: 15 examples are less than one step takes, expected at least 16 (4 a "
          "micro-step and rank x 2 micro-steps x 2 ranks); use a smaller batch or more data");
    CHECK(message_of([] {
              zp::Sampler{15, {0, 2, 2}, {}};
          }) == "zeropp: Sampler: batch shape 0 x 2 x 2, expected at least 1 each");
    CHECK(message_of([] {
              zp::Sampler{15, {1, 1, 1}, {.grouped_steps = 2}};
          }) == "zeropp: Sampler: 0 length keys, expected one of each of the 15 examples");
}
