// SPDX-License-Identifier: Apache-2.0
/// \file How an fp32 master becomes the parameter that the model computes with.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>

#include <zeropp/core/precision.hpp>

namespace zeropp {

/// The fp32 master of a Bf16 parameter, as the parameter and 16 more bits: exact.
/// The parameter is the master's upper half rounded to nearest, ties away from zero, so that the
/// remainder's top bit tells whether it was rounded up.
struct MasterSplit {
    ZEROPP_HD static constexpr float join(Bf16 upper, std::uint16_t lower) {
        const std::uint32_t high = static_cast<std::uint32_t>(upper.bits) - (lower >> 15);
        return std::bit_cast<float>((high << 16) | lower);
    }
    ZEROPP_HD static constexpr void split(float master, Bf16& upper, std::uint16_t& lower) {
        const auto bits = std::bit_cast<std::uint32_t>(master);
        upper.bits = static_cast<std::uint16_t>((bits + 0x8000u) >> 16);
        lower = static_cast<std::uint16_t>(bits);
    }
};

/// The parameter of a master.
template <Element E>
ZEROPP_HD constexpr E published(float master) {
    if constexpr (std::same_as<E, Bf16>) {
        E upper{};
        std::uint16_t lower = 0;
        MasterSplit::split(master, upper, lower);
        return upper;
    } else {
        return static_cast<E>(master);
    }
}

}  // namespace zeropp
