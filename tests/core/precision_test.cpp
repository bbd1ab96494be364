// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdint>
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

namespace {

Half half_of(std::uint32_t bits) {
    Half value;
    value.bits = static_cast<std::uint16_t>(bits);
    return value;
}
/// By the definition of IEEE binary16.
double value_of(std::uint32_t bits) {
    const int exponent = static_cast<int>(bits >> 10 & 0x1f);
    const double mantissa = bits & 0x3ff;
    const double size = exponent == 0 ? std::ldexp(mantissa, -24)
                        : exponent == 31
                            ? (mantissa == 0 ? std::numeric_limits<double>::infinity()
                                             : std::numeric_limits<double>::quiet_NaN())
                            : std::ldexp(1024 + mantissa, exponent - 25);
    return std::copysign(size, (bits & 0x8000) != 0 ? -1.0 : 1.0);
}

}  // namespace

TEST_CASE("every fp16 has its value in fp32 and survives the way back") {
    for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
        const auto value = static_cast<float>(half_of(bits));
        const double expected = value_of(bits);
        if (std::isnan(expected)) {
            // The payload stays, and the NaN is quiet.
            REQUIRE(std::isnan(value));
            REQUIRE(Half{value}.bits == (bits | 0x200));
        } else {
            REQUIRE(value == expected);
            REQUIRE(std::signbit(value) == std::signbit(expected));
            REQUIRE(Half{value}.bits == bits);
        }
    }
}

TEST_CASE("between any two fp16 the nearer is taken, halfway the even one") {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    for (std::uint32_t bits = 0; bits < 0x7c00; ++bits) {
        // Above the largest value the next place would be 65536.
        const double above = bits == 0x7bff ? 65536.0 : value_of(bits + 1);
        const auto halfway = static_cast<float>((value_of(bits) + above) / 2);
        for (const std::uint32_t sign : {0u, 0x8000u}) {
            const float middle = sign == 0 ? halfway : -halfway,
                        far = sign == 0 ? infinity : -infinity;
            REQUIRE(Half{std::nextafter(middle, 0.0f)}.bits == (sign | bits));
            REQUIRE(Half{middle}.bits == (sign | (bits + (bits & 1))));
            REQUIRE(Half{std::nextafter(middle, far)}.bits == (sign | (bits + 1)));
        }
    }
    CHECK(Half{std::numeric_limits<float>::denorm_min()}.bits == 0);
    CHECK(Half{-std::numeric_limits<float>::min()}.bits == 0x8000);
    CHECK(Half{std::numeric_limits<float>::max()}.bits == 0x7c00);
    CHECK(Half{-infinity}.bits == 0xfc00);
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
