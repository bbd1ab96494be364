// SPDX-License-Identifier: Apache-2.0
/// \file Element types (float, Bf16, Half) and the precision policies that name them.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>

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
struct Half {
    std::uint16_t bits = 0;

    Half() = default;
    ZEROPP_HD explicit constexpr Half(float value) {
        const auto wide = bit_cast<std::uint32_t>(value);
        const std::uint32_t sign = (wide >> 16) & 0x8000u, magnitude = wide & 0x7fffffffu;
        std::uint32_t result = 0;
        if (magnitude > 0x7f800000u) {
            result = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
        } else if (magnitude >= 0x477ff000u) {  // rounds to 65536 or more
            result = 0x7c00u;
        } else if (magnitude >= 0x38800000u) {  // normal: rebias the exponent by 112
            const std::uint32_t odd = (magnitude >> 13) & 1u;
            result = (magnitude - 0x38000000u + 0xfffu + odd) >> 13;
        } else if (magnitude >= 0x33000000u) {  // subnormal: value = mantissa * 2^-24
            const std::uint32_t shift = 126u - (magnitude >> 23);
            const std::uint32_t mantissa = (magnitude & 0x7fffffu) | 0x800000u;
            const std::uint32_t kept = mantissa >> shift, rest = mantissa & ((1u << shift) - 1u);
            const std::uint32_t half = 1u << (shift - 1u);
            result = kept + ((rest > half || (rest == half && (kept & 1u))) ? 1u : 0u);
        }
        bits = static_cast<std::uint16_t>(sign | result);
    }
    ZEROPP_HD constexpr operator float() const {
        const std::uint32_t sign = (bits & 0x8000u) << 16, exponent = (bits >> 10) & 0x1fu;
        const std::uint32_t mantissa = bits & 0x3ffu;
        if (exponent == 0x1fu) return bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
        if (exponent != 0)
            return bit_cast<float>(sign | ((exponent + 112u) << 23) | (mantissa << 13));
        const float tiny = static_cast<float>(mantissa) * 0x1p-24f;
        return bit_cast<float>(bit_cast<std::uint32_t>(tiny) | sign);
    }
};

template <class T>
concept Element = std::same_as<T, float> || std::same_as<T, Bf16> || std::same_as<T, Half>;

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
