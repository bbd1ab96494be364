// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include <zeropp/core/rng.hpp>

#include "support/catch.hpp"

using namespace zeropp;

TEST_CASE("philox gives the known answers of its authors' test vectors") {
    // Random123 1.14, kat_vectors, philox4x32 with 10 rounds.
    CHECK(philox(0, {0, 0, 0, 0}) == RandomBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    CHECK(philox(~std::uint64_t{0}, {~0u, ~0u, ~0u, ~0u}) ==
          RandomBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    CHECK(philox(0x299f31d0a4093822u, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}) ==
          RandomBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("draws below a bound are uniform") {
    Random random{3};
    std::vector<int> seen(7);
    for (int i = 0; i < 70'000; ++i) ++seen[random.below(7)];
    for (const int count : seen) CHECK(std::abs(count - 10'000) < 450);  // 4.9 standard deviations
}

TEST_CASE("normal values have mean 0 and variance 1") {
    double sum = 0, squares = 0;
    const int count = 100'000;
    for (int i = 0; i < count; ++i) {
        const double x = normal_at(5, 1, static_cast<std::uint64_t>(i));
        sum += x;
        squares += x * x;
    }
    CHECK(std::abs(sum / count) < 0.016);           // 5 standard deviations of the mean
    CHECK(std::abs(squares / count - 1) < 0.0224);  // 5 standard deviations of the variance
}
