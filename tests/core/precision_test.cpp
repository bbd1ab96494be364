// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>

#include <zeropp/core/precision.hpp>

#include "support/catch.hpp"

using namespace zeropp;

TEST_CASE("every bf16 survives the way to fp32 and back") {
    for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
        Bf16 value;
        value.bits = static_cast<std::uint16_t>(bits);
        const Bf16 back{static_cast<float>(value)};
        if (std::isnan(static_cast<float>(value)))
            REQUIRE(std::isnan(static_cast<float>(back)));
        else
            REQUIRE(back.bits == bits);
    }
}

TEST_CASE("every fp16 survives the way to fp32 and back") {
    for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
        Half value;
        value.bits = static_cast<std::uint16_t>(bits);
        const Half back{static_cast<float>(value)};
        if (std::isnan(static_cast<float>(value)))
            REQUIRE(std::isnan(static_cast<float>(back)));
        else
            REQUIRE(back.bits == bits);
    }
}

TEST_CASE("rounding is to nearest, ties to even") {
    CHECK(Bf16{1.0f + 0x1p-8f}.bits == 0x3f80);      // halfway, down to even
    CHECK(Bf16{1.0f + 3 * 0x1p-8f}.bits == 0x3f82);  // halfway, up to even
    CHECK(Bf16{1.0f + 0x1p-8f + 0x1p-20f}.bits == 0x3f81);
    CHECK(Bf16{std::numeric_limits<float>::max()}.bits == 0x7f80);
    CHECK(Half{1.0f + 0x1p-11f}.bits == 0x3c00);
    CHECK(Half{1.0f + 3 * 0x1p-11f}.bits == 0x3c02);
    CHECK(Half{65504.0f}.bits == 0x7bff);
    CHECK(Half{65519.996f}.bits == 0x7bff);
    CHECK(Half{65520.0f}.bits == 0x7c00);
    CHECK(Half{0x1p-24f}.bits == 1);
    CHECK(Half{0x1p-25f}.bits == 0);  // halfway to the smallest, to even
    CHECK(Half{0x1.8p-24f}.bits == 2);
    CHECK(Half{-0.0f}.bits == 0x8000);
}

TEST_CASE("finiteness is read from the bits") {
    CHECK(is_finite(1.0f));
    CHECK_FALSE(is_finite(std::numeric_limits<float>::infinity()));
    CHECK_FALSE(is_finite(std::numeric_limits<float>::quiet_NaN()));
    CHECK_FALSE(is_finite(-std::numeric_limits<double>::infinity()));
}
