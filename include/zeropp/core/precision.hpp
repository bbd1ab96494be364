// SPDX-License-Identifier: Apache-2.0
/// \file Element types (float, Bf16, Half) and the precision policies that name them.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include <zeropp/core/bits.hpp>
#include <zeropp/core/config.hpp>

namespace zeropp {

/// bfloat16: the upper half of an fp32. Conversion from float rounds to nearest, ties to even.
struct Bf16 {
    std::uint16_t bits = 0;

    Bf16() = default;
    ZEROPP_HD explicit constexpr Bf16(float value) {
        const auto wide = bit_cast<std::uint32_t>(value);
        const bool nan = (wide & 0x7fffffffu) > 0x7f800000u;
        const std::uint32_t rounded = wide + 0x7fffu + ((wide >> 16) & 1u);
        bits = static_cast<std::uint16_t>((nan ? (wide | 0x00400000u) : rounded) >> 16);
    }
    ZEROPP_HD constexpr operator float() const {
        return bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
    }
};

/// IEEE binary16. Conversion from float rounds to nearest, ties to even; large values become inf.
/// NaNs become quiet, as the processors' own conversions make them.
/// Selected by masks and not by conditions, so that compilers vectorise loops over it.
struct Half {
    std::uint16_t bits = 0;

    Half() = default;
    ZEROPP_HD explicit constexpr Half(float value) {
        const auto wide = bit_cast<std::uint32_t>(value);
        const std::uint32_t sign = (wide >> 16) & 0x8000u, magnitude = wide & 0x7fffffffu;
        // Subnormal: beside 0.5 a float's last place is 2^-24, so that the addition rounds.
        const std::uint32_t tiny =
            bit_cast<std::uint32_t>(bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
        // Normal: rebias the exponent by 112.
        const std::uint32_t normal =
            (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
        const std::uint32_t is_tiny = mask(magnitude < 0x38800000u);
        const std::uint32_t is_large = mask(magnitude >= 0x477ff000u);  // rounds to 65536 or more
        const std::uint32_t is_nan = mask(magnitude > 0x7f800000u);
        const std::uint32_t large = 0x7c00u | (is_nan & (0x200u | ((magnitude >> 13) & 0x3ffu)));
        const std::uint32_t small = (is_tiny & tiny) | (~is_tiny & normal);
        bits = static_cast<std::uint16_t>(sign | (is_large & large) | (~is_large & small));
    }
    ZEROPP_HD constexpr operator float() const {
        const std::uint32_t sign = (bits & 0x8000u) << 16, magnitude = bits & 0x7fffu;
        // Subnormal: value = mantissa * 2^-24.
        const auto tiny = bit_cast<std::uint32_t>(
            static_cast<float>(static_cast<std::int32_t>(magnitude)) * 0x1p-24f);
        const std::uint32_t is_tiny = mask(magnitude < 0x400u);
        const std::uint32_t is_large = mask(magnitude >= 0x7c00u),
                            is_nan = mask(magnitude > 0x7c00u);
        const std::uint32_t normal = (magnitude << 13) + 0x38000000u + (is_large & 0x38000000u);
        return bit_cast<float>(sign | (is_tiny & tiny) | (~is_tiny & normal) |
                               (is_nan & 0x00400000u));
    }

private:
    ZEROPP_HD static constexpr std::uint32_t mask(bool condition) {
        return 0u - static_cast<std::uint32_t>(condition);
    }
};

template <class T>
concept Element = std::same_as<T, float> || std::same_as<T, Bf16> || std::same_as<T, Half>;

/// What a residual stream is made of: it grows from layer to layer, beyond fp16's range of 65504.
template <class E>
using Stream = std::conditional_t<std::same_as<E, Half>, float, E>;

enum class DType : std::uint8_t { fp32, bf16, fp16 };

template <Element E>
inline constexpr DType dtype_of = std::same_as<E, float>  ? DType::fp32
                                  : std::same_as<E, Bf16> ? DType::bf16
                                                          : DType::fp16;

constexpr std::size_t size_of(DType type) { return type == DType::fp32 ? 4 : 2; }
constexpr std::string_view name_of(DType type) {
    return type == DType::fp32 ? "fp32" : type == DType::bf16 ? "bf16" : "fp16";
}

/// What model tensors are made of: fp32 itself, or 16 bits with an fp32 master in the optimizer.
template <Element E>
struct Precision {
    using Element = E;
};
using Fp32 = float;
using Fp16 = Half;
inline constexpr Precision<float> fp32{};
inline constexpr Precision<Bf16> bf16{};
inline constexpr Precision<Half> fp16{};

/// Tested on bits, so that no compiler flag can argue it away.
ZEROPP_HD constexpr bool is_finite(float value) {
    return (bit_cast<std::uint32_t>(value) & 0x7f800000u) != 0x7f800000u;
}
constexpr bool is_finite(double value) {
    return (bit_cast<std::uint64_t>(value) & 0x7ff0000000000000u) != 0x7ff0000000000000u;
}

}  // namespace zeropp
