// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>

#include <zeropp/core/square_root.hpp>

#include "support/catch.hpp"

using namespace zeropp;

TEST_CASE("the square root is within one unit in the last place of the exact one") {
    std::int64_t worst = 0;
    for (std::uint32_t bits = 0x00800000u; bits < 0x7f800000u; bits += 9973) {
        const auto x = std::bit_cast<float>(bits);
        const std::int64_t exact = std::bit_cast<std::int32_t>(std::sqrt(x)),
                           ours = std::bit_cast<std::int32_t>(square_root(x));
        worst = std::max(worst, std::abs(exact - ours));
    }
    CHECK(worst <= 1);
    CHECK(square_root(0.0f) == 0.0f);
    CHECK(std::isfinite(square_root(std::numeric_limits<float>::infinity())));
}
